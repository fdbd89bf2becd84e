// Every file of tests/dialogs, as it is and with everything that can go wrong on the way.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/dialog_file.h"
#include "tests/support/dialog_player.h"
#include "tests/support/scripted_stream.h"

namespace sendstep::testing {
namespace {

using base::Cause;
using base::ErrorClass;

std::vector<std::filesystem::path> DialogFiles() {
  std::vector<std::filesystem::path> files;
  const std::string folder = std::string(SENDSTEP_SOURCE_DIR) + "/tests/dialogs";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".dialog") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string TestName(const ::testing::TestParamInfo<std::filesystem::path>& info) {
  std::string name = info.param.stem().string();
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::vector<int> Codes(const std::vector<base::RecipientOutcome>& recipients) {
  std::vector<int> codes;
  for (const auto& recipient : recipients) codes.push_back(recipient.reply.code);
  return codes;
}

bool SameOutcome(const Outcome& a, const Outcome& b) {
  if (a.result.has_value() != b.result.has_value()) return false;
  if (a.result) return Codes(a.result->recipients) == Codes(b.result->recipients);
  return a.result.error().cause == b.result.error().cause &&
         a.result.error().stage == b.result.error().stage;
}

// The codes of the replies in the server's words.
std::vector<int> ReplyCodes(const std::string& words) {
  std::vector<int> codes;
  std::istringstream lines(words);
  for (std::string line; std::getline(lines, line) && !lines.eof();) {
    if (line.size() > 3 && line[3] == ' ') codes.push_back(std::atoi(line.c_str()));
  }
  return codes;
}

// Whether replies to a message in one flight refuse all of it, whatever is said next.
bool RefuseFlight(std::vector<int> codes, size_t recipients) {
  codes.resize(std::min(codes.size(), recipients + 1));  // MAIL, RCPT...
  if (codes.empty()) return false;
  const auto refuses = [](int code) { return code >= 400; };
  const bool nobody =
      codes.size() == recipients + 1 && std::all_of(codes.begin() + 1, codes.end(), refuses);
  // A recipient accepted without a sender may have come to a transaction that only the server sees;
  // after a bad sequence so may one that it said nothing of yet.
  const bool no_mail = codes[0] != 503 && std::all_of(codes.begin(), codes.end(), refuses);
  const bool closing = std::find(codes.begin(), codes.end(), 421) != codes.end();
  return no_mail || nobody || closing;
}

class Dialogs : public ::testing::TestWithParam<std::filesystem::path> {
 protected:
  void CheckError(const base::Error& error, bool as_written) {
    const DialogExpectation& expect = dialog_.expect;
    ASSERT_FALSE(expect.sent) << base::StageName(error.stage) << ", cause "
                              << static_cast<int>(error.cause) << ": " << error.detail;
    EXPECT_EQ(base::StageName(error.stage), base::StageName(expect.stage));
    const auto end = as_written ? expect.causes.begin() + 1 : expect.causes.end();
    EXPECT_NE(std::find(expect.causes.begin(), end, error.cause), end)
        << "cause " << static_cast<int>(error.cause) << ": " << error.detail;
    EXPECT_EQ(error.error_class, expect.error_class);
    EXPECT_EQ(error.reply ? error.reply->code : 0, expect.code);
    if (as_written) {
      EXPECT_NE(error.detail.find(expect.detail), std::string::npos) << error.detail;
    }
    if (expect.recipients) {
      EXPECT_EQ(Codes(error.recipients), *expect.recipients);
    }
  }

  void CheckReport(const smtp::DeliveryReport& report) {
    ASSERT_TRUE(dialog_.expect.sent) << "sent after all";
    EXPECT_EQ(report.message_bytes, dialog_.probe ? 0 : dialog_.message.size());
    EXPECT_EQ(report.final_reply.code, dialog_.expect.code == 0 ? 250 : dialog_.expect.code);
    ASSERT_EQ(report.recipients.size(), dialog_.envelope.recipients.size());
    for (size_t i = 0; i < report.recipients.size(); ++i) {
      EXPECT_EQ(report.recipients[i].index, i);
      EXPECT_EQ(report.recipients[i].accepted, report.recipients[i].reply.code / 100 == 2);
    }
    if (dialog_.expect.recipients) {
      EXPECT_EQ(Codes(report.recipients), *dialog_.expect.recipients);
    }
  }

  // What holds however the server's bytes were cut.
  void Check(const Outcome& outcome, const ScriptedStream& stream,
             const RecordingObserver& observer, bool as_written) {
    if (outcome.result) {
      CheckReport(*outcome.result);
    } else {
      CheckError(outcome.result.error(), as_written);
    }
    if (as_written) {
      EXPECT_EQ(outcome.usable, dialog_.expect.usable);
    }
    EXPECT_EQ(outcome.distrust.pipelining, dialog_.expect.distrust.pipelining);
    EXPECT_EQ(outcome.distrust.chunking, dialog_.expect.distrust.chunking);
    EXPECT_EQ(outcome.distrust.at_once, dialog_.expect.distrust.at_once);
    if (as_written && dialog_.gate.value_or(false)) {
      EXPECT_EQ(outcome.asked.size(), stream.end_of_data_begun() ? 1u : 0u);
    }
    if (as_written && !dialog_.expect.stages.empty()) {
      EXPECT_EQ(observer.stages, dialog_.expect.stages);
    }
    EXPECT_TRUE(stream.violations().empty()) << stream.violations()[0];
    EXPECT_TRUE(stream.closed());
    CheckGate(outcome, stream);
    CheckSecrets(outcome, stream, observer);
  }

  // The end of data is behind the gate, which is asked once: about those who were accepted, or
  // about everybody and before the envelope where that goes along.
  void CheckGate(const Outcome& outcome, const ScriptedStream& stream) {
    EXPECT_LE(outcome.asked.size(), 1u);
    if (dialog_.gate && stream.end_of_data_begun()) {
      EXPECT_TRUE(*dialog_.gate);
      EXPECT_EQ(outcome.asked.size(), 1u);
    }
    for (const std::vector<size_t>& asked : outcome.asked) {
      std::vector<size_t> accepted;
      for (const auto& recipient :
           outcome.result ? outcome.result->recipients : outcome.result.error().recipients) {
        if (recipient.accepted) accepted.push_back(recipient.index);
      }
      if (dialog_.one_flight) {
        accepted.resize(dialog_.envelope.recipients.size());
        std::iota(accepted.begin(), accepted.end(), size_t{0});
        EXPECT_EQ(outcome.written_before_gate.find("MAIL FROM"), std::string::npos);
      }
      EXPECT_EQ(asked, accepted);
    }
  }

  void CheckSecrets(const Outcome& outcome, const ScriptedStream& stream,
                    const RecordingObserver& observer) {
    const auto leak = FindLeak(dialog_, observer, outcome);
    EXPECT_FALSE(leak) << *leak;
    if (dialog_.settings.allow_plaintext_auth) return;
    for (const std::string& secret : dialog_.secrets) {
      EXPECT_EQ(stream.written_in_clear().find(secret), std::string::npos);
    }
  }

  size_t ServerBytes() const {
    size_t bytes = 0;
    for (const ScriptStep& step : dialog_.steps) {
      if (step.kind == ScriptStep::Kind::kServer) bytes += step.bytes.size();
    }
    return bytes;
  }

  // The outcome as written, and how many operations it took.
  Outcome Reference(size_t& operations, bool line_by_line = false) {
    ScriptedStream stream(dialog_.steps);
    if (line_by_line) stream.ReadLineByLine();
    RecordingObserver observer;
    Outcome outcome = Play(dialog_, stream, observer);
    operations = stream.operations().size();
    return outcome;
  }

  void FailEveryOperation(Cause cause) {
    FailEveryOperation(cause, /*line_by_line=*/false);
    // So that some of the replies to one flight have come.
    if (dialog_.one_flight) FailEveryOperation(cause, /*line_by_line=*/true);
  }
  void FailEveryOperation(Cause cause, bool line_by_line);

  const DialogFile dialog_ = ReadDialogFile(GetParam());
};

TEST_P(Dialogs, GoAsWritten) {
  ScriptedStream stream(dialog_.steps);
  RecordingObserver observer;
  const Outcome outcome = Play(dialog_, stream, observer);
  Check(outcome, stream, observer, true);
  EXPECT_TRUE(stream.finished()) << "the dialog goes on";
  if (HasFailure()) std::cerr << observer.Transcript();
}

TEST_P(Dialogs, GoTheSameByteByByte) {
  ScriptedStream stream(dialog_.steps);
  stream.ReadByteByByte();
  RecordingObserver observer;
  const Outcome outcome = Play(dialog_, stream, observer);
  Check(outcome, stream, observer, false);
  if (HasFailure()) std::cerr << observer.Transcript();
}

TEST_P(Dialogs, GoTheSameSplitAtEveryByte) {
  const size_t bytes = ServerBytes();
  // Long replies are all alike: every byte of the first kilobytes, then some.
  for (size_t offset = 1; offset < bytes; offset += offset < 4096 ? 1 : 997) {
    ScriptedStream stream(dialog_.steps);
    stream.SplitAt(offset);
    RecordingObserver observer;
    const Outcome outcome = Play(dialog_, stream, observer);
    Check(outcome, stream, observer, false);
    if (HasFailure()) {
      std::cerr << "split at " << offset << "\n" << observer.Transcript();
      return;
    }
  }
}

void Dialogs::FailEveryOperation(Cause cause, bool line_by_line) {
  size_t operations = 0;
  const Outcome reference = Reference(operations, line_by_line);
  for (size_t failing = 0; failing < operations; ++failing) {
    ScriptedStream stream(dialog_.steps);
    if (line_by_line) stream.ReadLineByLine();
    bool end_begun = false;
    bool answered = false;
    bool refused = false;
    stream.FailWith([&](size_t operation) -> std::optional<base::Error> {
      if (operation != failing) return std::nullopt;
      end_begun = stream.end_of_data_begun();
      answered = stream.final_reply_delivered();
      if (dialog_.one_flight) {
        const std::vector<int> codes = ReplyCodes(stream.final_words());
        const size_t recipients = dialog_.envelope.recipients.size();
        answered = codes.size() == recipients + 2;
        refused = RefuseFlight(codes, recipients);
      }
      return base::Failed(base::Stage::kTcp, cause, ErrorClass::kTransient, "injected");
    });
    RecordingObserver observer;
    const Outcome outcome = Play(dialog_, stream, observer);
    SCOPED_TRACE("operation " + std::to_string(failing) + (line_by_line ? ", by line" : ""));
    EXPECT_TRUE(stream.violations().empty()) << stream.violations()[0];
    EXPECT_TRUE(stream.closed());
    CheckGate(outcome, stream);
    CheckSecrets(outcome, stream, observer);
    if (answered) {
      EXPECT_TRUE(SameOutcome(outcome, reference)) << "QUIT changed the outcome";
    } else if (end_begun && refused) {
      ASSERT_FALSE(outcome.result);
      EXPECT_NE(outcome.result.error().error_class, ErrorClass::kUncertain);
      EXPECT_EQ(outcome.result.error().cause,
                outcome.distrust.pipelining ? Cause::kProtocol : Cause::kRefused);
      EXPECT_FALSE(outcome.usable);
    } else if (end_begun) {
      ASSERT_FALSE(outcome.result);
      EXPECT_EQ(outcome.result.error().error_class, ErrorClass::kUncertain);
      if (!dialog_.one_flight) EXPECT_EQ(outcome.result.error().stage, base::Stage::kData);
      EXPECT_EQ(outcome.result.error().cause, cause);
      EXPECT_FALSE(outcome.usable);
    } else if (!outcome.result) {
      EXPECT_NE(outcome.result.error().error_class, ErrorClass::kUncertain);
    } else {
      EXPECT_TRUE(dialog_.probe) << "sent, though the end of data never was";
    }
    if (HasFailure()) {
      std::cerr << observer.Transcript();
      return;
    }
  }
}

TEST_P(Dialogs, AreUncertainOnlyAfterTheEndOfDataWhenTheConnectionIsLost) {
  FailEveryOperation(Cause::kConnectionLost);
}

TEST_P(Dialogs, AreUncertainOnlyAfterTheEndOfDataWhenTimeRunsOut) {
  FailEveryOperation(Cause::kTimeout);
}

TEST_P(Dialogs, StopWhenCancelledUntilTheEndOfDataAndFinishFromThere) {
  size_t operations = 0;
  const Outcome reference = Reference(operations);
  for (size_t cancelled = 0; cancelled < operations; ++cancelled) {
    ScriptedStream stream(dialog_.steps);
    smtp::asio::cancellation_signal cancel;
    bool end_begun = false;
    bool in_envelope = false;
    RecordingObserver observer;
    stream.FailWith([&](size_t operation) -> std::optional<base::Error> {
      if (operation != cancelled) return std::nullopt;
      end_begun = stream.end_of_data_begun();
      in_envelope = !observer.stages.empty() && observer.stages.back() == "mail_from";
      cancel.emit(smtp::asio::cancellation_type::terminal);
      return std::nullopt;
    });
    const Outcome outcome = Play(dialog_, stream, observer, &cancel);
    SCOPED_TRACE("operation " + std::to_string(cancelled));
    EXPECT_TRUE(stream.violations().empty()) << stream.violations()[0];
    EXPECT_TRUE(stream.closed());
    CheckGate(outcome, stream);
    CheckSecrets(outcome, stream, observer);
    if (end_begun) {
      EXPECT_TRUE(SameOutcome(outcome, reference));
    } else if (!SameOutcome(outcome, reference)) {
      // A refusal that was read before stays the reason.
      ASSERT_FALSE(outcome.result);
      EXPECT_TRUE(outcome.result.error().cause == Cause::kCancelled ||
                  (in_envelope && outcome.result.error().cause == Cause::kRefused));
      EXPECT_EQ(outcome.result.error().error_class, ErrorClass::kTransient);
      EXPECT_FALSE(stream.end_of_data_begun());
    }
    if (HasFailure()) {
      std::cerr << observer.Transcript();
      return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Files, Dialogs, ::testing::ValuesIn(DialogFiles()), TestName);

}  // namespace
}  // namespace sendstep::testing
