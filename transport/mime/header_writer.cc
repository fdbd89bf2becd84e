#include "transport/mime/header_writer.h"

#include <algorithm>
#include <utility>

#include "transport/base/address.h"
#include "transport/base/utf8.h"
#include "transport/mime/encoded_word.h"

namespace sendstep::mime {
namespace {

// RFC 5322 asks for 78; lines with encoded words have 76 (RFC 2047 2), so all do.
constexpr size_t kFoldAt = kMaxEncodedLine;
constexpr size_t kMaxLine = 998;
// A display name up to here stays one word; a longer one is written as encoded words, which fold.
constexpr size_t kMaxPlainName = 70;
// The same for a parameter, with its name.
constexpr size_t kMaxPlainParameter = 74;
// Of a section of a parameter (RFC 2231 3), without its name.
constexpr size_t kMaxSection = 54;

std::string TabsToBlanks(std::string_view text) {
  std::string blanks(text);
  std::replace(blanks.begin(), blanks.end(), '\t', ' ');
  return blanks;
}

bool IsLetterOrDigit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool IsOneOf(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

// Atoms with one blank between them (RFC 5322 3.2.3).
bool IsAtoms(std::string_view text) {
  return text.find("  ") == std::string_view::npos &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return IsLetterOrDigit(c) || IsOneOf(c, " !#$%&'*+-/=?^_`{|}~");
         });
}

// quoted-string (RFC 5322 3.2.4).
std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

// A value that needs no quotation marks. Dots would not need them either, but filenames come with
// them.
bool IsSimple(std::string_view value) {
  return !value.empty() && std::all_of(value.begin(), value.end(),
                                       [](char c) { return IsLetterOrDigit(c) || c == '-'; });
}

// One character as RFC 2231 7 writes it: attribute-char, or percent-encoded.
std::string PercentEncoded(std::string_view character) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  for (char c : character) {
    const auto byte = static_cast<unsigned char>(c);
    if (IsLetterOrDigit(c) || IsOneOf(c, "!#$&+-.^_`{|}~")) {
      encoded += c;
    } else {
      encoded += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return encoded;
}

// The value as sections that fit a line each. No character is split: readers decode section by
// section.
std::vector<std::string> ExtendedSections(std::string_view value) {
  std::vector<std::string> sections = {"UTF-8''"};
  while (!value.empty()) {
    const size_t size = std::max<size_t>(base::DecodeUtf8(value).size, 1);
    const std::string encoded = PercentEncoded(value.substr(0, size));
    if (sections.back().size() + encoded.size() > kMaxSection) sections.emplace_back();
    sections.back() += encoded;
    value.remove_prefix(size);
  }
  return sections;
}

// Blanks and the word behind them, cut off the front of `text`.
struct BlanksAndWord {
  std::string_view blanks;
  std::string_view word;
};

BlanksAndWord Next(std::string_view& text) {
  const size_t word = std::min(text.find_first_not_of(' '), text.size());
  const size_t end = std::min(text.find(' ', word), text.size());
  const BlanksAndWord next = {text.substr(0, word), text.substr(word, end - word)};
  text.remove_prefix(end);
  return next;
}

// Whether folding at blanks keeps every line within 998 bytes, the first of which begins at
// `column`.
bool Folds(std::string_view text, size_t column) {
  for (size_t used = column; !text.empty(); used = 0) {
    const BlanksAndWord next = Next(text);
    if (used + next.blanks.size() + next.word.size() > kMaxLine) return false;
  }
  return true;
}

}  // namespace

HeaderWriter::HeaderWriter(std::string_view name, std::string& out) : out_(out) {
  Append(name);
  Append(":");
}

HeaderWriter::~HeaderWriter() { out_ += "\r\n"; }

void HeaderWriter::Append(std::string_view text) {
  out_ += text;
  column_ += text.size();
}

void HeaderWriter::Fold(std::string_view blanks) {
  out_ += "\r\n";
  column_ = 0;
  Append(blanks);
}

void HeaderWriter::Word(std::string_view blanks, std::string_view word) {
  if (column_ + blanks.size() + word.size() > kFoldAt) {
    Fold(blanks);
  } else {
    Append(blanks);
  }
  Append(word);
}

// `fold_to_fit`: begin a line where that spares a second word, which some readers put a blank
// before.
void HeaderWriter::Encoded(std::string_view text, bool fold_to_fit) {
  const size_t room = kMaxEncodedLine - std::min(column_ + 1, kMaxEncodedLine);
  const auto words = EncodedWords(text, kMaxEncodedWord);
  const bool fits_a_line = fold_to_fit && words.size() == 1 && words[0].size() > room;
  if (room < kMinEncodedWord || fits_a_line) {
    Fold(" ");
  } else {
    Append(" ");
  }
  bool first = true;
  for (const std::string& word : EncodedWords(text, kMaxEncodedLine - column_)) {
    if (!std::exchange(first, false)) Fold(" ");
    Append(word);
  }
}

void HeaderWriter::Unstructured(std::string_view value) {
  if (value.empty()) return;
  const std::string text = TabsToBlanks(value);
  if (NeedsEncoding(text) || !Folds(text, column_ + 1)) return Encoded(text, false);
  // The first word stays beside the name: a first line without text confuses some readers.
  std::string_view rest = text;
  Append(" ");
  Append(Next(rest).word);
  while (!rest.empty()) {
    const BlanksAndWord next = Next(rest);
    Word(next.blanks, next.word);
  }
}

void HeaderWriter::Phrase(std::string_view name) {
  const std::string quoted = IsAtoms(name) ? std::string(name) : Quoted(name);
  const bool plain = base::IsAscii(name) && name.find("=?") == std::string_view::npos &&
                     quoted.size() <= kMaxPlainName;
  if (plain) {
    Word(quoted);
  } else {
    Encoded(name, true);
  }
}

void HeaderWriter::Mailboxes(const std::vector<Mailbox>& mailboxes) {
  for (size_t i = 0; i < mailboxes.size(); ++i) {
    const std::string name = TabsToBlanks(mailboxes[i].name);
    const bool named = name.find_first_not_of(' ') != std::string::npos;
    const std::string spec = mailboxes[i].address.Spec();
    if (named) Phrase(name);
    Word((named ? "<" + spec + ">" : spec) + (i + 1 < mailboxes.size() ? "," : ""));
  }
}

void HeaderWriter::Parameter(std::string_view parameter, std::string_view value) {
  const std::string name(parameter);
  const std::string text = TabsToBlanks(value);
  Append(";");
  const std::string plain = name + "=" + (IsSimple(text) ? text : Quoted(text));
  if (base::IsAscii(text) && text.find("=?") == std::string::npos &&
      plain.size() <= kMaxPlainParameter) {
    return Word(plain);
  }
  const auto sections = ExtendedSections(text);
  if (sections.size() == 1) return Word(name + "*=" + sections[0]);
  for (size_t i = 0; i < sections.size(); ++i) {
    const bool last = i + 1 == sections.size();
    Word(name + "*" + std::to_string(i) + "*=" + sections[i] + (last ? "" : ";"));
  }
}

}  // namespace sendstep::mime
