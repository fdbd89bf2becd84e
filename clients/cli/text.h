// Text for people: made safe for a terminal, coloured, aligned.
#ifndef SENDSTEP_CLIENTS_CLI_TEXT_H_
#define SENDSTEP_CLIENTS_CLI_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sendstep::cli {

// Text from a server or a mail as one line that a terminal may show: control characters (C0, DEL,
// C1), line separators, characters that turn the direction of writing and bytes that are not UTF-8
// come out as "\n", "\t", "\x1b", "\u202e".
std::string Shown(std::string_view text);

// The same for text of several lines: LF and TAB stay, CRLF becomes LF.
std::string ShownLines(std::string_view text);

// Whether all of `text` is UTF-8 (RFC 3629).
bool IsUtf8(std::string_view text);

// Columns `utf8` takes: one per character.
size_t Width(std::string_view utf8);

// `text` with blanks up to `width` columns.
std::string Padded(std::string text, size_t width);

// `utf8` cut to at most `width` columns, three dots last where something was cut.
std::string Clipped(std::string utf8, size_t width);

// `text` as one word of a POSIX shell's command, quoted where it has to be. Control characters
// come out as in Shown().
std::string ShellWord(std::string_view text);

// Rows as aligned columns, two blanks between, every line starting with `indent`. The last column
// is not padded. Cells are shown as they are: make them safe first.
std::string Table(const std::vector<std::vector<std::string>>& rows, std::string_view indent = "");

// Colours, or none.
class Style {
 public:
  explicit Style(bool colours) : colours_(colours) {}
  std::string Good(std::string_view text) const { return Paint("32", text); }
  std::string Bad(std::string_view text) const { return Paint("31", text); }
  std::string Odd(std::string_view text) const { return Paint("33", text); }
  std::string Dim(std::string_view text) const { return Paint("2", text); }
  std::string Strong(std::string_view text) const { return Paint("1", text); }

 private:
  std::string Paint(std::string_view code, std::string_view text) const;
  bool colours_;
};

}  // namespace sendstep::cli

#endif  // SENDSTEP_CLIENTS_CLI_TEXT_H_
