#include "clients/cli/options.h"

#include <CLI/CLI.hpp>

namespace sendstep::cli {
namespace {

// One value per flag, however many flags: "--to a --to b".
void AddList(CLI::App& app, const std::string& name, std::vector<std::string>& values,
             const std::string& help, const std::string& group, const std::string& form) {
  app.add_option(name, values, help)->allow_extra_args(false)->group(group)->type_name(form);
}

void RefuseSecretFlag(CLI::App& app, const std::string& name, const std::string& instead) {
  app.add_option_function<std::vector<std::string>>(
         name,
         [name, instead](const std::vector<std::string>&) {
           throw CLI::ValidationError(
               name, "a secret on the command line is seen by every user of this machine; use " +
                         instead);
         })
      ->expected(0, 1)
      ->group("");
}

void AddSmtpFlags(CLI::App& app, StepOptions& options) {
  const std::string group = "Mail provider";
  SmtpFlags& smtp = options.smtp;
  app.add_option("--relay", options.relay,
                 "Relay that the server's operator wrote, in place of all of these")
      ->type_name("NAME")
      ->group(group);
  const auto add = [&](const char* name, auto& value, const char* form, const char* help) {
    return app.add_option(name, value, help)->type_name(form)->group(group);
  };
  add("--provider", smtp.provider, "NAME", "Provider, e.g. gmail (see: sendstep providers)");
  add("--region", smtp.region, "NAME", "The provider's region, e.g. eu-west-1");
  add("--host", smtp.host, "HOST", "SMTP server, host:port or URL");
  add("--discover", smtp.discover_domain, "DOMAIN",
      "Mail domain whose DNS names host and port, in place of both");
  add("--port", smtp.port, "PORT", "Port; else the provider's, else 25");
  add("--tls", smtp.tls, "FORM", "on (default), off, starttls or implicit")
      ->check(CLI::IsMember({"on", "off", "starttls", "implicit"}));
  add("--username", smtp.username, "NAME", "SMTP username");
  add("--domain", smtp.domain, "NAME", "Sender's host name or address for EHLO");
  add("--ca-file", smtp.ca_file, "FILE", "PEM certificates to trust instead of the system's");
  add("--pinned-key", smtp.pinned_key, "BASE64",
      "SHA-256 of the server's public key: trust it alone");
  add("--min-tls", smtp.min_tls, "VERSION", "1.2 or 1.3")->check(CLI::IsMember({"1.2", "1.3"}));
  add("--dkim-selector", smtp.dkim_selectors, "NAME",
      "DKIM selector that the account shows, for test and validate --deliverability");
  add("--auth-mechanism", smtp.auth_mechanism, "NAME",
      "The one SASL mechanism to use, e.g. SCRAM-SHA-256 or CRAM-MD5");
  app.add_flag("--insecure-skip-verify", smtp.insecure_skip_verify, "Accept any certificate")
      ->group(group);
  app.add_flag("--allow-plaintext-auth", smtp.allow_plaintext_auth,
               "Send the password although the connection is plaintext")
      ->group(group);
}

void AddSecretFlags(CLI::App& app, SecretFlags& secrets) {
  auto* group = app.add_option_group(
      "Credentials", "At most one. Without any: the step file's, else $SENDSTEP_PASSWORD");
  group->add_option("--password-env", secrets.password_env, "Variable that holds the password")
      ->type_name("NAME");
  group->add_option("--password-file", secrets.password_file, "File that holds the password")
      ->type_name("FILE");
  group->add_flag("--password-prompt", secrets.password_prompt, "Ask for the password");
  group
      ->add_option("--oauth2-token-env", secrets.oauth2_token_env,
                   "Variable that holds an OAuth 2.0 access token")
      ->type_name("NAME");
  group
      ->add_option("--oauth2-token-file", secrets.oauth2_token_file,
                   "File that holds an OAuth 2.0 access token")
      ->type_name("FILE");
  group->require_option(0, 1);
  RefuseSecretFlag(app, "--password", "--password-env, --password-file or --password-prompt");
  RefuseSecretFlag(app, "--oauth2-token", "--oauth2-token-env or --oauth2-token-file");
}

void AddEmailFlags(CLI::App& app, EmailFlags& email) {
  const std::string group = "Email";
  const std::string mailbox = "ADDRESS";
  const auto add = [&](const char* name, auto& value, const char* form, const char* help) {
    return app.add_option(name, value, help)->type_name(form)->group(group);
  };
  add("--from", email.from, "ADDRESS", "Author: ann@example.com or \"Ann <ann@example.com>\"");
  AddList(app, "--to", email.to, "Recipient (again for more)", group, mailbox);
  AddList(app, "--cc", email.cc, "Recipient of a copy", group, mailbox);
  AddList(app, "--bcc", email.bcc, "Recipient whom nobody sees", group, mailbox);
  AddList(app, "--reply-to", email.reply_to, "Where answers go", group, mailbox);
  add("--subject", email.subject, "TEXT", "Subject");
  add("--text", email.text, "TEXT", "Plain text body");
  add("--text-file", email.text_file, "FILE", "Plain text body from a file (-: stdin)");
  add("--html", email.html, "HTML", "HTML body");
  add("--html-file", email.html_file, "FILE", "HTML body from a file (-: stdin)");
  AddList(app, "--attach", email.attach, "File to attach", group, "FILE[:type]");
  AddList(app, "--inline", email.inline_files, "Picture that the HTML shows as cid:CID", group,
          "CID=FILE[:type]");
  AddList(app, "--header", email.header, "Further header field", group, "'Name: value'");
  add("--envelope-sender", email.envelope_sender, "ADDRESS", "Where bounces go");
  add("--in-reply-to", email.in_reply_to, "ID", "Message-ID this email answers");
  add("--sender", email.sender, "ADDRESS", "Who sends for the author");
  add("--unsubscribe-url", email.unsubscribe_url, "URL", "Page where a reader leaves the list");
  add("--unsubscribe-email", email.unsubscribe_email, "ADDRESS", "Mailbox that does the same");
  app.add_flag("--one-click", email.one_click, "A POST to --unsubscribe-url suffices (RFC 8058)")
      ->group(group);
  add("--calendar", email.calendar_file, "FILE",
      "Calendar object with a METHOD, such as an invitation");
  app.add_option("--notify", email.notify, "Ask for a report on: success, failure, delay; or never")
      ->type_name("WORD")
      ->delimiter(',')
      ->check(CLI::IsMember({"success", "failure", "delay", "never"}))
      ->group(group);
  add("--return", email.return_content, "WORD", "What a report brings back: headers or full")
      ->check(CLI::IsMember({"headers", "full"}));
  add("--envelope-id", email.envelope_id, "TEXT", "Name that the reports repeat");
  app.add_flag("--require-tls", email.require_tls, "Verified TLS on the whole way (RFC 8689)")
      ->group(group);
  add("--priority", email.priority, "WORD", "high or low")->check(CLI::IsMember({"high", "low"}));
}

}  // namespace

bool SmtpFlags::Any() const {
  return provider || region || host || tls || username || domain || ca_file || auth_mechanism ||
         pinned_key || min_tls || discover_domain || port || !dkim_selectors.empty() ||
         insecure_skip_verify || allow_plaintext_auth;
}

bool SecretFlags::Any() const {
  return password_env || password_file || oauth2_token_env || oauth2_token_file || password_prompt;
}

void AddGlobalOptions(CLI::App& app, GlobalOptions& options) {
  app.add_option("--server", options.server,
                 "sendstep server, host:port or unix:path; else $SENDSTEP_SERVER, else "
                 "127.0.0.1:7070")
      ->type_name("ADDR");
  app.add_flag("--json", options.json, "Print the response message as JSON");
  app.add_option("--timeout", options.timeout, "Limit of the whole call in seconds")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.001, 86400.0))
      ->capture_default_str();
}

void AddStepOptions(CLI::App& app, StepOptions& options) {
  app.add_option("--step", options.step_file,
                 "YAML or JSON file: request_id, config, email, delivery, resend_on_uncertain, "
                 "context (-: stdin)")
      ->type_name("FILE");
  AddSmtpFlags(app, options);
  AddSecretFlags(app, options.secrets);
  AddEmailFlags(app, options.email);
}

}  // namespace sendstep::cli
