#include "transport/dns/message.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace sendstep::dns {
namespace {

namespace asio = boost::asio;
using std::chrono::seconds;

constexpr size_t kHeaderSize = 12;
constexpr size_t kMaxName = 255;  // as the message has it, RFC 1035 2.3.4
constexpr uint16_t kClassIn = 1;
constexpr uint16_t kTypeSoa = 6;
constexpr uint16_t kTypeOpt = 41;
constexpr int kNoError = 0;
constexpr int kNxDomain = 3;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// One byte of a label, so that no two names look the same.
void AppendEscaped(std::string& name, char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (byte > 0x20 && byte < 0x7f && c != '.' && c != '\\') {
    name += Lower(c);
    return;
  }
  name += '\\';
  for (int digit : {byte / 100, byte / 10 % 10, byte % 10}) name += static_cast<char>('0' + digit);
}

// An AskableName as the names of records are.
std::string Escaped(const std::string& name) {
  std::string escaped;
  for (char c : name) c == '.' ? escaped.push_back(c) : AppendEscaped(escaped, c);
  return escaped;
}

// Reads a message from a place on. After the first thing that does not fit it has failed, and
// everything it returns is empty.
class Cursor {
 public:
  Cursor(std::string_view message, size_t at) : message_(message), at_(at) {}

  bool failed() const { return failed_; }
  size_t at() const { return at_; }

  std::string_view Bytes(size_t count) {
    if (failed_ || count > message_.size() - at_) {
      failed_ = true;
      return {};
    }
    at_ += count;
    return message_.substr(at_ - count, count);
  }

  uint32_t Number(size_t bytes) {
    uint32_t number = 0;
    for (char c : Bytes(bytes)) number = number << 8 | static_cast<unsigned char>(c);
    return number;
  }
  uint16_t Number16() { return static_cast<uint16_t>(Number(2)); }

  // RFC 1035 4.1.4. A pointer leads before the labels in which it stands, so there is no way round.
  std::string Name() {
    std::string name;
    Cursor label = *this;
    size_t before = at_, size = 0;
    bool jumped = false;
    for (;;) {
      const uint32_t length = label.Number(1);
      if (length >= 0xc0) {
        const size_t target = (length & 0x3f) << 8 | label.Number(1);
        if (!jumped) at_ = label.at_;
        jumped = true;
        if (target >= before || target < kHeaderSize) return Fail();
        before = label.at_ = target;
        continue;
      }
      size += length + 1;
      const std::string_view bytes = label.Bytes(length);
      if (label.failed_ || length > 63 || size > kMaxName) return Fail();
      if (length == 0) break;
      if (!name.empty()) name += '.';
      for (char c : bytes) AppendEscaped(name, c);
    }
    if (!jumped) at_ = label.at_;
    return name;
  }

 private:
  std::string Fail() {
    failed_ = true;
    return {};
  }

  std::string_view message_;
  size_t at_;
  bool failed_ = false;
};

// A resource record in its message.
struct Entry {
  std::string owner;
  uint16_t type;
  uint16_t entry_class;
  uint32_t ttl;
  size_t data;
  size_t size;
};

// RFC 2181 8: the topmost bit makes it zero.
seconds Ttl(uint32_t ttl) { return seconds(ttl > 0x7fffffff ? 0 : ttl); }

class Message {
 public:
  explicit Message(std::string_view bytes) : bytes_(bytes) {}

  // Header, question and the outlines of the records. False: this is not an answer to it.
  bool Parse(const std::string& name, RecordType type);

  bool truncated() const { return truncated_; }
  int rcode() const { return rcode_; }
  int extended_error() const { return extended_error_; }

  // The records of `name`; false: one of them cannot be read. `ttl` is lowered to theirs.
  bool Records(const std::string& name, RecordType type, std::vector<Record>& records,
               seconds& ttl) const;
  // How long nothing may be taken for granted about `name` (RFC 2308 5); nothing: there is no SOA.
  std::optional<seconds> NegativeTtl(const std::string& name) const;
  // Other name servers instead of an answer.
  bool refers() const;

 private:
  bool ParseQuestion(Cursor& cursor, const std::string& name, RecordType type);
  bool ParseSection(Cursor& cursor, size_t count, std::vector<Entry>& entries);
  void ParseOptions(const Entry& opt);
  bool ReadRecord(const Entry& entry, Record& record) const;
  bool ReadText(const Entry& entry, std::string& text) const;

  std::string_view bytes_;
  bool truncated_ = false;
  int rcode_ = kNoError;
  int extended_error_ = -1;
  std::vector<Entry> answers_, authorities_, additionals_;
};

bool Message::Parse(const std::string& name, RecordType type) {
  Cursor cursor(bytes_, 0);
  cursor.Number16();  // the id, which whoever received it has compared
  const uint16_t flags = cursor.Number16();
  const uint16_t questions = cursor.Number16();
  const uint16_t answers = cursor.Number16();
  const uint16_t authorities = cursor.Number16();
  const uint16_t additionals = cursor.Number16();
  const bool is_response = flags & 0x8000;
  const int opcode = flags >> 11 & 0xf;
  if (cursor.failed() || !is_response || opcode != 0 || questions != 1) return false;
  truncated_ = flags & 0x0200;
  rcode_ = flags & 0xf;
  if (!ParseQuestion(cursor, name, type)) return false;
  if (truncated_) return true;
  if (!ParseSection(cursor, answers, answers_) ||
      !ParseSection(cursor, authorities, authorities_) ||
      !ParseSection(cursor, additionals, additionals_)) {
    return false;
  }
  for (const Entry& entry : additionals_) {
    if (entry.type == kTypeOpt) ParseOptions(entry);
  }
  return true;
}

// As bytes: AskableName() left nothing that would have to be decoded to be compared.
bool Message::ParseQuestion(Cursor& cursor, const std::string& name, RecordType type) {
  std::string expected;
  for (size_t at = 0; at < name.size();) {
    const size_t end = std::min(name.find('.', at), name.size());
    expected += static_cast<char>(end - at);
    expected.append(name, at, end - at);
    at = end + 1;
  }
  expected += '\0';
  return cursor.Bytes(expected.size()) == expected &&
         cursor.Number16() == static_cast<uint16_t>(type) && cursor.Number16() == kClassIn &&
         !cursor.failed();
}

bool Message::ParseSection(Cursor& cursor, size_t count, std::vector<Entry>& entries) {
  for (; count > 0; --count) {
    Entry entry;
    entry.owner = cursor.Name();
    entry.type = cursor.Number16();
    entry.entry_class = cursor.Number16();
    entry.ttl = cursor.Number(4);
    entry.size = cursor.Number16();
    entry.data = cursor.at();
    cursor.Bytes(entry.size);
    if (cursor.failed()) return false;
    if (entry.entry_class == kClassIn || entry.type == kTypeOpt) {
      entries.push_back(std::move(entry));
    }
  }
  return true;
}

// RFC 6891 6.1.2, 6.1.3.
void Message::ParseOptions(const Entry& opt) {
  constexpr uint16_t kExtendedError = 15;
  rcode_ |= static_cast<int>(opt.ttl >> 24) << 4;
  Cursor options(bytes_.substr(0, opt.data + opt.size), opt.data);
  while (options.at() < opt.data + opt.size && !options.failed()) {
    const uint16_t code = options.Number16();
    const size_t size = options.Number16();
    const size_t begin = options.at();
    options.Bytes(size);
    if (options.failed() || code != kExtendedError || size < 2) continue;
    extended_error_ = Cursor(bytes_, begin).Number16();
  }
}

bool Message::Records(const std::string& name, RecordType type, std::vector<Record>& records,
                      seconds& ttl) const {
  for (const Entry& entry : answers_) {
    if (entry.type != static_cast<uint16_t>(type) || entry.owner != name) continue;
    if (!ReadRecord(entry, records.emplace_back())) return false;
    ttl = std::min(ttl, Ttl(entry.ttl));
  }
  return true;
}

bool Message::ReadRecord(const Entry& entry, Record& record) const {
  Cursor data(bytes_.substr(0, entry.data + entry.size), entry.data);
  switch (static_cast<RecordType>(entry.type)) {
    case RecordType::kA: {
      asio::ip::address_v4::bytes_type v4;
      if (entry.size != v4.size()) return false;
      std::memcpy(v4.data(), data.Bytes(v4.size()).data(), v4.size());
      record.address = asio::ip::address_v4(v4);
      break;
    }
    case RecordType::kAaaa: {
      asio::ip::address_v6::bytes_type v6;
      if (entry.size != v6.size()) return false;
      std::memcpy(v6.data(), data.Bytes(v6.size()).data(), v6.size());
      record.address = asio::ip::address_v6(v6);
      break;
    }
    case RecordType::kTxt:
      return ReadText(entry, record.text);
    case RecordType::kMx:
      record.preference = data.Number16();
      record.name = data.Name();
      break;
    case RecordType::kSrv:
      record.preference = data.Number16();
      record.weight = data.Number16();
      record.port = data.Number16();
      record.name = data.Name();
      break;
    case RecordType::kNs:
    case RecordType::kCname:
    case RecordType::kPtr:
      record.name = data.Name();
      break;
  }
  return !data.failed() && data.at() == entry.data + entry.size;
}

// RFC 1035 3.3.14 wants one string or more; some servers send none for an empty text.
bool Message::ReadText(const Entry& entry, std::string& text) const {
  Cursor data(bytes_.substr(0, entry.data + entry.size), entry.data);
  while (!data.failed() && data.at() < entry.data + entry.size) {
    text += data.Bytes(data.Number(1));
  }
  return !data.failed();
}

std::optional<seconds> Message::NegativeTtl(const std::string& name) const {
  for (const Entry& entry : authorities_) {
    if (entry.type != kTypeSoa) continue;
    const std::string& zone = entry.owner;
    if (!zone.empty() && zone != name && !name.ends_with("." + zone)) continue;
    Cursor data(bytes_.substr(0, entry.data + entry.size), entry.data);
    data.Name();
    data.Name();
    data.Bytes(16);
    const uint32_t minimum = data.Number(4);
    if (!data.failed()) return std::min(Ttl(entry.ttl), Ttl(minimum));
  }
  return std::nullopt;
}

bool Message::refers() const {
  return std::any_of(authorities_.begin(), authorities_.end(), [](const Entry& entry) {
    return entry.type == static_cast<uint16_t>(RecordType::kNs);
  });
}

std::string RcodeName(int rcode) {
  switch (rcode) {
    case 1:
      return "FORMERR";
    case 2:
      return "SERVFAIL";
    case 4:
      return "NOTIMP";
    case 5:
      return "REFUSED";
    default:
      return "error code " + std::to_string(rcode);
  }
}

// RFC 8914 4, as far as it helps whoever runs the domain.
std::string ExtendedErrorText(int code) {
  if (code >= 5 && code <= 12) return " (its DNSSEC signatures do not hold)";
  if (code >= 15 && code <= 18) return " (it blocks this name or this client)";
  if (code == 22 || code == 23) return " (the domain's name servers do not answer)";
  return "";
}

Reading Failed(Answer& answer, std::string detail) {
  answer.outcome = Outcome::kFailed;
  answer.records.clear();
  answer.ttl = seconds(0);
  answer.detail = std::move(detail);
  return Reading::kDone;
}

// No record at `end`, the end of the chain as far as the message has it.
Reading Nothing(const Message& message, const std::string& end, bool is_alias, seconds ttl,
                Answer& answer) {
  const std::optional<seconds> negative = message.NegativeTtl(end);
  answer.ttl = std::min(ttl, negative.value_or(seconds(0)));
  if (message.rcode() == kNxDomain) {
    answer.outcome = Outcome::kNoDomain;
    return Reading::kDone;
  }
  if (!negative && is_alias) {
    answer.ttl = ttl;
    return Reading::kAskOn;
  }
  if (!negative && message.refers()) {
    return Failed(answer, "the DNS server refers to others instead of asking them");
  }
  answer.outcome = Outcome::kNoData;
  return Reading::kDone;
}

}  // namespace

std::optional<std::string> AskableName(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > kMaxName - 2) return std::nullopt;
  std::string lower;
  size_t label = 0;
  for (char c : name) {
    if (c == '\0' || c == '\\') return std::nullopt;
    label = c == '.' ? 0 : label + 1;
    const bool empty_label = c == '.' && (lower.empty() || lower.back() == '.');
    if (empty_label || label > 63) return std::nullopt;
    lower += Lower(c);
  }
  if (lower.back() == '.') return std::nullopt;
  return lower;
}

Reading ReadMessage(std::string_view bytes, const std::string& name, RecordType type,
                    Answer& answer) {
  Message message(bytes);
  if (!message.Parse(name, type)) return Failed(answer, "the DNS server's answer is malformed");
  if (message.truncated()) return Failed(answer, "the DNS server cut its answer short");
  if (message.rcode() != kNoError && message.rcode() != kNxDomain) {
    return Failed(answer, "the DNS server answered " + RcodeName(message.rcode()) +
                              ExtendedErrorText(message.extended_error()));
  }
  seconds ttl = answer.aliases.empty() ? seconds::max() : answer.ttl;
  const size_t known = answer.aliases.size();
  const std::string asked = Escaped(name);
  std::string at = asked;
  for (;;) {
    if (!message.Records(at, type, answer.records, ttl)) {
      return Failed(answer, "a record in the DNS server's answer is malformed");
    }
    if (!answer.records.empty()) break;
    std::vector<Record> alias;
    if (!message.Records(at, RecordType::kCname, alias, ttl)) {
      return Failed(answer, "a CNAME in the DNS server's answer is malformed");
    }
    if (alias.empty()) return Nothing(message, at, answer.aliases.size() > known, ttl, answer);
    at = alias.front().name;
    const bool loop = at == asked || std::find(answer.aliases.begin(), answer.aliases.end(), at) !=
                                         answer.aliases.end();
    answer.aliases.push_back(at);
    if (loop) return Failed(answer, "its CNAMEs lead in a circle");
    if (answer.aliases.size() > kMaxAliases) {
      return Failed(answer, "more than " + std::to_string(kMaxAliases) + " CNAMEs in a row");
    }
  }
  answer.outcome = Outcome::kFound;
  answer.ttl = ttl;
  return Reading::kDone;
}

}  // namespace sendstep::dns
