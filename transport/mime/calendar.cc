#include "transport/mime/calendar.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <vector>

#include "transport/base/address.h"

namespace sendstep::mime {
namespace {

using Problem = std::optional<std::string>;

constexpr size_t kMaxDepth = 8;
constexpr std::array<std::string_view, 4> kNeedUid = {"VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY"};

std::string Upper(std::string_view text) {
  std::string upper(text);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return upper;
}

bool IsName(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) != 0 || c == '-');
  });
}

// The next content line, unfolded, taken off `rest`.
std::string TakeLine(std::string_view& rest) {
  std::string line;
  for (;;) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view piece = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (piece.ends_with('\r')) piece.remove_suffix(1);
    line += piece;
    if (rest.empty() || (rest.front() != ' ' && rest.front() != '\t')) return line;
    rest.remove_prefix(1);
  }
}

// Where the value begins: behind the first ":" that no quoted parameter holds.
size_t ValueBegin(std::string_view line) {
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') quoted = !quoted;
    if (line[i] == ':' && !quoted) return i + 1;
  }
  return line.npos;
}

class Reader {
 public:
  // What is wrong once `line` is read.
  Problem Read(const std::string& line) {
    const size_t value_begin = ValueBegin(line);
    const std::string name = Upper(std::string_view(line).substr(0, line.find_first_of(":;")));
    if (value_begin == line.npos || !IsName(name) || base::HasControlCharacter(line)) {
      return "a line is no content line of iCalendar";
    }
    const std::string value = Upper(std::string_view(line).substr(value_begin));
    if (ended_) return "something follows END:VCALENDAR";
    if (open_.empty() && (name != "BEGIN" || value != "VCALENDAR")) {
      return "it does not begin with BEGIN:VCALENDAR";
    }
    if (name == "BEGIN") return Begin(value);
    if (name == "END") return End(value);
    if (open_.size() == 1) return CalendarProperty(name, value);
    if (open_.size() == 2 && name == "UID" && !value.empty()) has_uid_ = true;
    return std::nullopt;
  }

  Problem Finish() const {
    if (!ended_) return "it does not end with END:VCALENDAR";
    if (!version_) return "it has no VERSION:2.0";
    if (method_.empty()) return "it has no METHOD, such as METHOD:REQUEST";
    if (components_ == 0) return "it has no component, such as VEVENT";
    return std::nullopt;
  }

  const std::string& method() const { return method_; }

 private:
  Problem Begin(const std::string& component) {
    if (open_.size() == kMaxDepth) return "its components are too deep";
    open_.push_back(component);
    if (open_.size() == 2) {
      ++components_;
      has_uid_ = false;
    }
    return std::nullopt;
  }

  Problem End(const std::string& component) {
    if (open_.back() != component) return "END:" + open_.back() + " is missing";
    const bool needs_uid = std::find(kNeedUid.begin(), kNeedUid.end(), component) != kNeedUid.end();
    if (open_.size() == 2 && needs_uid && !has_uid_) return "a " + component + " has no UID";
    open_.pop_back();
    ended_ = open_.empty();
    return std::nullopt;
  }

  Problem CalendarProperty(const std::string& name, const std::string& value) {
    if (name == "VERSION") version_ = value == "2.0";
    if (name != "METHOD") return std::nullopt;
    if (!method_.empty()) return "it has more than one METHOD";
    if (!IsName(value)) return "its METHOD is no name";
    method_ = value;
    return std::nullopt;
  }

  std::vector<std::string> open_;
  std::string method_;
  bool version_ = false;
  bool has_uid_ = false;  // the component that is open
  bool ended_ = false;
  int components_ = 0;
};

}  // namespace

base::Result<std::string> CalendarMethod(std::string_view object) {
  Reader reader;
  Problem problem;
  while (!object.empty() && !problem) problem = reader.Read(TakeLine(object));
  if (!problem) problem = reader.Finish();
  if (!problem) return reader.method();
  return base::Failed(base::Stage::kConfig, base::Cause::kInvalid, base::ErrorClass::kPermanent,
                      *std::move(problem));
}

}  // namespace sendstep::mime
