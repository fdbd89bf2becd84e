// Reads tests/dialogs/*.dialog; README.md there describes the format.
#ifndef SENDSTEP_TESTS_SUPPORT_DIALOG_FILE_H_
#define SENDSTEP_TESTS_SUPPORT_DIALOG_FILE_H_

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/scripted_stream.h"
#include "transport/smtp/envelope.h"
#include "transport/smtp/flights.h"
#include "transport/smtp/settings.h"

namespace sendstep::testing {

struct DialogExpectation {
  bool sent = false;
  base::Stage stage = base::Stage::kConfig;
  std::vector<base::Cause> causes;  // the first as the file is written, any when split
  base::ErrorClass error_class = base::ErrorClass::kPermanent;
  int code = 0;                                // of the reply that decided; 0: none
  std::string detail;                          // found in the error's detail
  std::optional<std::vector<int>> recipients;  // reply code of each one reported
  bool usable = false;
  std::vector<std::string> stages;  // as started; empty: not checked
  smtp::Distrust distrust;
};

struct DialogFile {
  smtp::SmtpSettings settings;
  smtp::Envelope envelope;
  std::string message;
  bool probe = false;
  bool all_or_nothing = false;
  std::optional<bool> gate;  // set: there is one; true: it opens
  DialogExpectation expect;
  std::vector<ScriptStep> steps;
  // The message goes in the write of its envelope.
  bool one_flight = false;
  // Every form in which a credential could be seen.
  std::vector<std::string> secrets;
};

// Throws std::runtime_error with file and line where the file is not one. Credentials are made anew
// by every call.
DialogFile ReadDialogFile(const std::filesystem::path& path);

// BDAT and `message` as it is.
std::string Chunk(const std::string& message);

// The bytes that carry `message` after DATA, dot-stuffed and ended, made line by line.
std::string DotStuffed(const std::string& message);

// A message of exactly `bytes` bytes in lines, some of which begin with a dot.
std::string GeneratedMessage(size_t bytes);

}  // namespace sendstep::testing

#endif  // SENDSTEP_TESTS_SUPPORT_DIALOG_FILE_H_
