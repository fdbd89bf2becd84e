// The flags, as typed. One place describes each flag; request.h makes requests of them.
#ifndef SENDSTEP_CLIENTS_CLI_OPTIONS_H_
#define SENDSTEP_CLIENTS_CLI_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace sendstep::cli {

// Flags of every command.
struct GlobalOptions {
  std::string server;    // empty: SENDSTEP_SERVER, else 127.0.0.1:7070
  bool json = false;     // the response message on stdout
  double timeout = 120;  // seconds, for the whole call
};

// Where mail leaves. An unset flag leaves the step file's value alone.
struct SmtpFlags {
  std::optional<std::string> provider, region, host, tls, username, domain, ca_file, auth_mechanism,
      pinned_key, min_tls, discover_domain;
  std::vector<std::string> dkim_selectors;  // replace the step file's
  std::optional<uint32_t> port;
  bool insecure_skip_verify = false;
  bool allow_plaintext_auth = false;

  bool Any() const;
};

// Where the credentials are; never the credentials themselves.
struct SecretFlags {
  std::optional<std::string> password_env, password_file, oauth2_token_env, oauth2_token_file;
  bool password_prompt = false;

  bool Any() const;
};

// What to send.
struct EmailFlags {
  std::optional<std::string> from, subject, text, text_file, html, html_file, envelope_sender,
      in_reply_to, sender, unsubscribe_url, unsubscribe_email, priority, calendar_file,
      return_content, envelope_id;
  bool one_click = false;
  bool require_tls = false;
  std::vector<std::string> to, cc, bcc, reply_to, notify;  // replace the step file's
  std::vector<std::string> attach, inline_files, header;   // come after the step file's
};

// Flags of send, test and validate.
struct StepOptions {
  std::optional<std::string> step_file;  // "-": standard input
  std::optional<std::string> relay;
  std::optional<std::string> request_id;
  bool all_or_nothing = false;       // of send
  bool resend_on_uncertain = false;  // of send
  bool deliverability = false;       // of validate
  bool no_deliverability = false;    // of test
  SmtpFlags smtp;
  SecretFlags secrets;
  EmailFlags email;
};

void AddGlobalOptions(CLI::App& app, GlobalOptions& options);

// `options` outlives the parsing. A password given as a flag is refused with the reason why.
void AddStepOptions(CLI::App& app, StepOptions& options);

}  // namespace sendstep::cli

#endif  // SENDSTEP_CLIENTS_CLI_OPTIONS_H_
