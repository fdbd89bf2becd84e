#include "transport/mailauth/tag_list.h"

#include <algorithm>

namespace sendstep::mailauth {
namespace {

constexpr size_t kMaxParts = 64;
constexpr size_t kMaxExcerpt = 60;
constexpr std::string_view kBlanks = " \t\r\n";

bool IsName(std::string_view text) {
  const auto fits = [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !text.empty() && std::ranges::all_of(text, fits);
}

}  // namespace

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

std::string LowerAscii(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string Excerpt(std::string_view text) {
  std::string shown(text.substr(0, kMaxExcerpt));
  for (char& c : shown) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return text.size() > kMaxExcerpt ? shown + "..." : shown;
}

TagList ParseTagList(std::string_view text) {
  TagList list;
  for (size_t parts = 0; !text.empty(); ++parts) {
    const size_t end = std::min(text.find(';'), text.size());
    const std::string_view part = Trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (part.empty()) continue;
    const size_t equals = part.find('=');
    const std::string_view name = Trimmed(part.substr(0, equals));
    if (parts >= kMaxParts || equals == std::string_view::npos || !IsName(name)) {
      if (list.malformed.size() < kMaxParts) list.malformed.push_back(Excerpt(part));
      continue;
    }
    list.tags.push_back({LowerAscii(name), std::string(Trimmed(part.substr(equals + 1)))});
  }
  return list;
}

}  // namespace sendstep::mailauth
