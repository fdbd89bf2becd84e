#include "transport/mime/dkim_canonical.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace sendstep::mime {
namespace {

constexpr std::string_view kCrlf = "\r\n";
// Given to the sink at once, about. Bytes.
constexpr size_t kPortion = 4096;

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

char Lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

std::string_view NameOf(std::string_view field) {
  std::string_view name = field.substr(0, field.find(':'));
  while (!name.empty() && IsBlank(name.back())) name.remove_suffix(1);
  return name;
}

}  // namespace

std::string CanonicalField(std::string_view field, DkimForm form) {
  if (form == DkimForm::kSimple) return std::string(field);
  const std::string_view name = NameOf(field);
  const size_t colon = std::min(field.find(':'), field.size());
  std::string canonical;
  canonical.reserve(field.size());
  std::ranges::transform(name, std::back_inserter(canonical), Lower);
  canonical += ':';
  bool blank = false;
  const size_t value = canonical.size();
  for (const char c : field.substr(std::min(colon + 1, field.size()))) {
    if (c == '\r' || c == '\n') continue;
    if (IsBlank(c)) {
      blank = true;
      continue;
    }
    if (std::exchange(blank, false) && canonical.size() > value) canonical += ' ';
    canonical += c;
  }
  if (field.ends_with(kCrlf)) canonical += kCrlf;
  return canonical;
}

std::vector<std::string_view> HeaderFields(std::string_view header) {
  std::vector<std::string_view> fields;
  while (!header.empty()) {
    size_t end = 0;
    do {
      const size_t line_break = header.find(kCrlf, end);
      end = line_break == header.npos ? header.size() : line_break + kCrlf.size();
    } while (end < header.size() && IsBlank(header[end]));
    fields.push_back(header.substr(0, end));
    header.remove_prefix(end);
  }
  return fields;
}

bool IsField(std::string_view field, std::string_view name) {
  return std::ranges::equal(NameOf(field), name, {}, Lower, Lower);
}

void DkimBody::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    if (std::exchange(cr_, false)) {
      if (bytes.front() != '\n') {
        Text("\r");
        continue;
      }
      blank_ = false;  // those that end a line are not part of the relaxed form
      ++breaks_;
    } else if (const size_t size = TextAtFront(bytes); size > 0) {
      Text(bytes.substr(0, size));
      bytes.remove_prefix(size);
      continue;
    } else if (bytes.front() == '\r') {
      cr_ = true;
    } else {
      blank_ = true;
    }
    bytes.remove_prefix(1);
  }
}

void DkimBody::Finish() {
  if (std::exchange(cr_, false)) Text("\r");
  if (form_ == DkimForm::kSimple || !empty_) Put(kCrlf);
  Flush();
}

// Bytes without a meaning of their own that `bytes` begins with.
size_t DkimBody::TextAtFront(std::string_view bytes) const {
  if (form_ == DkimForm::kSimple) return std::min(bytes.find('\r'), bytes.size());
  const auto end = std::ranges::find_if(bytes, [](char c) { return c == '\r' || IsBlank(c); });
  return static_cast<size_t>(end - bytes.begin());
}

void DkimBody::Text(std::string_view text) {
  for (; breaks_ > 0; --breaks_) Put(kCrlf);
  if (std::exchange(blank_, false)) Put(" ");
  Put(text);
  empty_ = false;
}

void DkimBody::Put(std::string_view text) {
  out_ += text;
  if (out_.size() >= kPortion) Flush();
}

void DkimBody::Flush() {
  sink_(out_);
  out_.clear();
}

}  // namespace sendstep::mime
