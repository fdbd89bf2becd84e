// A saved email, read as far as an explanation of its fate needs it.
#ifndef SENDSTEP_PROVIDERS_DOCTOR_MAIL_FILE_H_
#define SENDSTEP_PROVIDERS_DOCTOR_MAIL_FILE_H_

#include <string>
#include <vector>

namespace sendstep::doctor {

struct MailFile {
  // It begins with header fields of an email.
  bool is_mail = false;
  std::string from;                                 // domain of the From address, lower case
  std::string subject;                              // decoded
  std::vector<std::string> authentication_results;  // the topmost first
  std::string delivery_status;                      // of a bounce (RFC 3464), decoded; empty: none
  std::string text;                                 // the first plain text, at most 64 kB
};

// At most 1,000 parts, nested 20 deep, are looked at. Never fails: what is no email has is_mail
// unset.
MailFile ReadMailFile(const std::string& bytes);

}  // namespace sendstep::doctor

#endif  // SENDSTEP_PROVIDERS_DOCTOR_MAIL_FILE_H_
