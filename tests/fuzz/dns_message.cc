// ReadMessage with any bytes. The first byte picks the type that was asked for, the rest is the
// message; its question is taken for the one that was asked, so that what lies behind is reached.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "transport/dns/message.h"

namespace {

using sendstep::dns::RecordType;

constexpr RecordType kTypes[] = {RecordType::kA,    RecordType::kNs, RecordType::kCname,
                                 RecordType::kPtr,  RecordType::kMx, RecordType::kTxt,
                                 RecordType::kAaaa, RecordType::kSrv};

// The labels at the question's place, as far as they are labels.
std::string QuestionName(std::string_view message) {
  std::string name;
  for (size_t at = 12; at < message.size();) {
    const size_t length = static_cast<unsigned char>(message[at]);
    if (length == 0 || length > 63 || at + 1 + length > message.size()) break;
    if (!name.empty()) name += '.';
    name += message.substr(at + 1, length);
    at += 1 + length;
  }
  return name;
}

void Require(bool fact) {
  if (!fact) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sendstep::dns;
  if (size == 0) return 0;
  const std::string_view message(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto name = AskableName(QuestionName(message));
  if (!name) return 0;
  Answer answer;
  const Reading reading = ReadMessage(message, *name, kTypes[data[0] % std::size(kTypes)], answer);
  Require(answer.aliases.size() <= kMaxAliases + 1);
  if (reading == Reading::kAskOn) {
    Require(!answer.aliases.empty() && answer.records.empty());
    return 0;
  }
  Require(answer.found() == !answer.records.empty());
  Require((answer.outcome == Outcome::kFailed) == !answer.detail.empty());
  Require(answer.ttl.count() >= 0 && answer.ttl.count() <= 0x7fffffff);
  for (const Record& record : answer.records) {
    Require(record.text.size() <= size && record.name.size() <= 4 * 253);
    for (char c : record.name) Require(c > 0x20 && c < 0x7f);
  }
  return 0;
}
