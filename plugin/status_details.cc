#include "plugin/status_details.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "google/rpc/error_details.pb.h"

namespace sendstep::plugin {
namespace {

constexpr std::string_view kDomain = "sendstep";
// A status from elsewhere may be larger than ours; beyond this it is not worth decoding.
constexpr size_t kMaxParsedBytes = 64 * 1024;
constexpr size_t kShortestCut = 64;
// More than ever fit; bounds the work of trimming.
constexpr size_t kMaxMetadata = 64;
constexpr size_t kMaxViolations = 256;

// Length of the UTF-8 character at `text[i]` (RFC 3629); 0: none.
size_t CharacterLength(std::string_view text, size_t i) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char lead = byte(i);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF5 || lead < 0xC2 ? 0 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (length == 0 || text.size() - i < length) return 0;
  for (size_t k = 1; k < length; ++k) {
    if ((byte(i + k) & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = byte(i + 1);
  const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
  const bool surrogate = lead == 0xED && second >= 0xA0;
  const bool beyond = lead == 0xF4 && second >= 0x90;
  return overlong || surrogate || beyond ? 0 : length;
}

// `text` cut to `max_bytes`, the end marked.
std::string Shorten(const std::string& text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  return CleanUtf8(text, max_bytes - 3) + "...";
}

FieldViolation HowManyMore(size_t count, const std::string& reason) {
  return {"", "and " + std::to_string(count) + " more", reason};
}

// Valid UTF-8, and no more entries than could fit.
Details Clean(const Details& details) {
  Details clean;
  clean.reason = CleanUtf8(details.reason, 63);
  for (const auto& [key, value] : details.metadata) {
    if (clean.metadata.size() == kMaxMetadata) break;
    clean.metadata[CleanUtf8(key, 63)] = CleanUtf8(value, kMaxDetailsBytes);
  }
  for (const auto& v : details.violations) {
    if (clean.violations.size() == kMaxViolations) break;
    clean.violations.push_back({CleanUtf8(v.field, 200), CleanUtf8(v.description, kMaxDetailsBytes),
                                CleanUtf8(v.reason, 63)});
  }
  clean.retry_after = details.retry_after;
  for (const auto& l : details.links) {
    clean.links.push_back({CleanUtf8(l.description), CleanUtf8(l.url)});
  }
  return clean;
}

google::rpc::Status Pack(grpc::StatusCode code, const std::string& message,
                         const Details& details) {
  google::rpc::Status status;
  status.set_code(code);
  status.set_message(message);
  google::rpc::ErrorInfo info;
  info.set_reason(details.reason);
  info.set_domain(std::string(kDomain));
  for (const auto& [key, value] : details.metadata) (*info.mutable_metadata())[key] = value;
  status.add_details()->PackFrom(info);
  if (!details.violations.empty()) {
    google::rpc::BadRequest bad;
    for (const auto& v : details.violations) {
      auto* violation = bad.add_field_violations();
      violation->set_field(v.field);
      violation->set_description(v.description);
      violation->set_reason(v.reason);
    }
    status.add_details()->PackFrom(bad);
  }
  if (details.retry_after) {
    google::rpc::RetryInfo retry;
    *retry.mutable_retry_delay() =
        google::protobuf::util::TimeUtil::MillisecondsToDuration(details.retry_after->count());
    status.add_details()->PackFrom(retry);
  }
  if (!details.links.empty()) {
    google::rpc::Help help;
    for (const auto& l : details.links) {
      auto* link = help.add_links();
      link->set_description(l.description);
      link->set_url(l.url);
    }
    status.add_details()->PackFrom(help);
  }
  return status;
}

// Takes away what matters least until the whole fits; one kind after the other.
class Trimmer {
 public:
  Trimmer(grpc::StatusCode code, std::string message, const Details& details)
      : code_(code),
        message_(std::move(message)),
        details_(Clean(details)),
        total_(details.violations.size()) {}

  std::string Serialize() {
    if (Excess() > 0) details_.links.clear();
    CutMetadata();
    for (auto& v : details_.violations) {
      if (Excess() == 0) break;
      v.description = Shorten(v.description, 200);
    }
    CapViolations();
    while (Excess() > 0 &&
           !details_.metadata.empty()) {  // thousands of keys: only a bug makes them
      details_.metadata.erase(std::prev(details_.metadata.end()));
    }
    return Pack(code_, message_, details_).SerializeAsString();
  }

 private:
  size_t Excess() const {
    const size_t size = Pack(code_, message_, details_).ByteSizeLong();
    return size > kMaxDetailsBytes ? size - kMaxDetailsBytes : 0;
  }

  void CutMetadata() {
    while (const size_t excess = Excess()) {
      const auto longest = std::max_element(
          details_.metadata.begin(), details_.metadata.end(),
          [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
      if (longest == details_.metadata.end() || longest->second.size() <= kShortestCut) return;
      const size_t size = longest->second.size();
      // At most a half at a time, so that two long values share the loss.
      const size_t keep = std::max({kShortestCut, size / 2, size > excess ? size - excess : 0});
      longest->second = Shorten(longest->second, std::min(keep, size - 1));
    }
  }

  void CapViolations() {
    const std::vector<FieldViolation> all = details_.violations;
    size_t shown = all.size();
    if (total_ > shown) details_.violations.push_back(HowManyMore(total_ - shown, details_.reason));
    while (Excess() > 0 && shown > 0) {
      // Large steps while there are many: packing is repeated for each.
      shown -= std::max<size_t>(1, shown / 16);
      details_.violations.assign(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(shown));
      details_.violations.push_back(HowManyMore(total_ - shown, details_.reason));
    }
  }

  grpc::StatusCode code_;
  std::string message_;
  Details details_;
  size_t total_;  // violations there were
};

void ReadBadRequest(const google::rpc::BadRequest& bad, Details& out) {
  for (const auto& v : bad.field_violations()) {
    out.violations.push_back({v.field(), v.description(), v.reason()});
  }
}

}  // namespace

std::string CleanUtf8(std::string_view text, size_t max_bytes) {
  std::string clean;
  clean.reserve(std::min(text.size(), max_bytes));
  for (size_t i = 0; i < text.size();) {
    const size_t length = CharacterLength(text, i);
    if (clean.size() + std::max<size_t>(length, 1) > max_bytes) break;
    if (length == 0) {
      clean += '?';
    } else {
      clean += text.substr(i, length);
    }
    i += std::max<size_t>(length, 1);
  }
  return clean;
}

grpc::Status MakeStatus(grpc::StatusCode code, std::string_view message, const Details& details) {
  const std::string text = Shorten(CleanUtf8(message), kMaxMessageBytes);
  return grpc::Status(code, text, Trimmer(code, text, details).Serialize());
}

std::optional<Details> ParseDetails(const grpc::Status& status) {
  const std::string bytes = status.error_details();
  google::rpc::Status packed;
  if (bytes.empty() || bytes.size() > kMaxParsedBytes || !packed.ParseFromString(bytes)) return {};
  Details details;
  bool ours = false;
  for (const auto& any : packed.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad;
    google::rpc::RetryInfo retry;
    google::rpc::Help help;
    if (any.UnpackTo(&info)) {
      if (info.domain() != kDomain) continue;
      ours = true;
      details.reason = info.reason();
      details.metadata = {info.metadata().begin(), info.metadata().end()};
    } else if (any.UnpackTo(&bad)) {
      ReadBadRequest(bad, details);
    } else if (any.UnpackTo(&retry)) {
      details.retry_after = std::chrono::milliseconds(
          google::protobuf::util::TimeUtil::DurationToMilliseconds(retry.retry_delay()));
    } else if (any.UnpackTo(&help)) {
      for (const auto& l : help.links()) details.links.push_back({l.description(), l.url()});
    }
  }
  if (!ours) return {};
  return details;
}

}  // namespace sendstep::plugin
