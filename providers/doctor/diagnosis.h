// Can mail from this domain through this provider arrive, and what has to change so that it does:
// the values that a diagnosis is made of.
#ifndef SENDSTEP_PROVIDERS_DOCTOR_DIAGNOSIS_H_
#define SENDSTEP_PROVIDERS_DOCTOR_DIAGNOSIS_H_

#include <boost/asio/ip/address.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protos/sendstep/profile/v1/profile.pb.h"
#include "transport/mailauth/dkim_record.h"
#include "transport/mailauth/dmarc.h"
#include "transport/mailauth/problem.h"
#include "transport/mailauth/spf.h"
#include "transport/mailauth/spf_walk.h"

namespace sendstep::doctor {

using mailauth::Severity;

// What is asked. The profile outlives the diagnosis.
struct Question {
  std::string from_domain;                        // of the From address, A-labels
  std::string envelope_domain;                    // of the envelope sender; empty: from_domain
  const profile::v1::Profile* profile = nullptr;  // null or without `dns`: a server nobody knows
  std::vector<std::string> selectors;             // DKIM selectors that the sender knows of
  bool signs_itself = false;                      // those are the only keys mail is signed with
  // Whose mailboxes the From domain's addresses are ("gmail.com"); null: none that is known.
  const profile::v1::Profile* mailbox_provider = nullptr;
  std::optional<bool> one_click_unsubscribe;   // of the email (RFC 8058), where there is one
  std::optional<boost::asio::ip::address> ip;  // the address that mail leaves from, where known
  std::string helo;                            // its HELO name; empty: envelope_domain
};

// A record that the profile names, and what was found in its place.
struct ExpectedRecord {
  profile::v1::DnsRecord expected;
  std::string name;    // of the sender's domain
  std::string target;  // what the profile wants there, "*" where each account has its own
  dns::Answer answer;
  bool matches = false;

  bool determined() const { return answer.found() || answer.is_void(); }
};

// What DNS says, before anything is made of it.
struct Facts {
  Question question;
  dns::Answer mx;       // of the From domain
  dns::Answer address;  // A, or AAAA where there is no A; asked where there is no MX
  // The From domain's best MX hosts that have no address, as far as they were asked for.
  std::vector<std::string> mx_without_address;
  dns::Answer envelope_mx;
  // Names of `question.ip` (PTR), and whether one of them leads back to it (RFC 8601 2.7.3).
  dns::Answer names_of_ip;
  bool name_confirmed = false;
  mailauth::SpfWalk spf;                 // of the envelope sender's domain
  std::vector<std::string> spf_records;  // its SPF records; receivers take none of several
  std::optional<mailauth::SpfVerdict> spf_for_ip;
  // Lookups that the profile's include would add to that record, itself among them; 0: it is there,
  // or none is needed.
  size_t include_lookups = 0;
  std::vector<mailauth::DkimSelector>
      dkim;  // the sender's own selectors, then those of the profile
  // Of the organizational domain, where the From domain lies below it and has no usable key.
  std::vector<mailauth::DkimSelector> dkim_above;
  mailauth::DkimPresence dkim_presence_above = mailauth::DkimPresence::kNone;
  mailauth::DkimPresence dkim_presence = mailauth::DkimPresence::kUnknown;
  std::vector<ExpectedRecord> dkim_expected;  // of the profile, those with a fixed name
  std::vector<ExpectedRecord> return_path;    // of the profile
  mailauth::DmarcPolicyFound dmarc;
  std::vector<mailauth::Problem> reports;
  bool envelope_aligns = true;  // the envelope sender's domain with the From domain
  dns::Answer mta_sts, tls_rpt, bimi;
  size_t queries = 0;
  bool budget_spent = false;
};

// The From address is a mailbox of the provider that sends: it answers for its own domain.
bool IsProvidersOwn(const Question& question);

// The name of the provider for people; "the server" where nobody knows it.
std::string ProviderOf(const Question& question);

enum class CanPass { kYes, kNo, kUnknown };

// "yes", "no", "unknown".
std::string_view CanPassName(CanPass can);

// One of the two ways to pass DMARC.
struct Identifier {
  CanPass aligned = CanPass::kUnknown;
  std::string domain;  // that would be authenticated; empty: none
  std::string why;     // one sentence
};

// What receivers do with mail that does not pass.
enum class ReceiverAction {
  kNothing,     // no policy asks for anything
  kSpamFolder,  // p=quarantine
  kRefuse,      // p=reject
  kUnknown,
};

// "nothing", "spam_folder", "refuse", "unknown".
std::string_view ReceiverActionName(ReceiverAction action);

struct Verdict {
  CanPass dmarc = CanPass::kUnknown;
  ReceiverAction if_it_fails = ReceiverAction::kUnknown;
  Identifier spf, dkim;
  std::string summary;  // one or two sentences for the author of a step
};

// A record to publish, ready to be pasted.
struct Fix {
  enum class Action { kAdd, kReplace, kRemove };
  Action action = Action::kAdd;
  std::string type;   // "TXT", "CNAME", "MX"
  std::string name;   // whole, without the last dot
  std::string value;  // of kReplace the new one, of kRemove the one to remove
  // The value, or the name, stands for one that the provider's account shows.
  bool from_account = false;
  std::string why;      // one sentence
  std::string doc_url;  // may be empty
};

struct Diagnosis {
  Verdict verdict;
  std::vector<mailauth::Problem> findings;  // errors first
  std::vector<Fix> fixes;                   // what helps most first
  Facts facts;
};

}  // namespace sendstep::doctor

#endif  // SENDSTEP_PROVIDERS_DOCTOR_DIAGNOSIS_H_
