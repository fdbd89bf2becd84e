#include "transport/mime/html_text.h"

#include <libxml/HTMLparser.h>

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "transport/base/utf8.h"

namespace sendstep::mime {
namespace {

constexpr size_t kMaxLink = 2048;
constexpr size_t kChunk = size_t{16} << 10;
constexpr int kMaxDepth = 256;
// Deeper lists and quotations are shown as if they were at this depth.
constexpr int kMaxIndent = 8;

// How an element breaks the text: not at all, to a new line, to a new paragraph.
enum class Break { kNone, kLine, kParagraph };

bool IsOneOf(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Break BreakOf(std::string_view element) {
  if (IsOneOf(element, {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "pre",
                        "blockquote", "hr"})) {
    return Break::kParagraph;
  }
  if (IsOneOf(element,
              {"div",      "li",     "dt",         "dd",      "tr",     "section", "article",
               "header",   "footer", "main",       "nav",     "aside",  "address", "form",
               "fieldset", "figure", "figcaption", "caption", "center", "body"})) {
    return Break::kLine;
  }
  return Break::kNone;
}

// Elements whose content nobody sees.
bool IsUnseen(std::string_view element) {
  return IsOneOf(element, {"head", "title", "script", "style", "template", "noscript", "svg",
                           "object", "select", "textarea", "iframe"});
}

// Characters without a width, that mail programs are kept from showing the first words with.
bool HasNoWidth(char32_t c) {
  return c == 0xAD || c == 0x34F || (c >= 0x200B && c <= 0x200F) || c == 0x2060 || c == 0xFEFF;
}

bool IsBlank(char32_t c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == 0xA0;
}

std::string Squeezed(std::string_view text) {
  std::string squeezed;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\n') continue;
    squeezed += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return squeezed;
}

// Attributes of one element; null values are empty.
class Attributes {
 public:
  explicit Attributes(const xmlChar** list) : list_(list) {}

  std::optional<std::string_view> Get(std::string_view name) const {
    for (const xmlChar** at = list_; at != nullptr && *at != nullptr; at += 2) {
      if (Text(at[0]) == name) return at[1] == nullptr ? std::string_view() : Text(at[1]);
    }
    return std::nullopt;
  }

  bool Hides() const {
    if (Get("hidden")) return true;
    const std::string style = Squeezed(Get("style").value_or(""));
    return style.find("display:none") != style.npos;
  }

 private:
  static std::string_view Text(const xmlChar* text) { return reinterpret_cast<const char*>(text); }

  const xmlChar** list_;
};

// The text, as the parser comes through the elements.
class Writer {
 public:
  void Start(std::string_view element, const Attributes& attributes) {
    if (!IsVoid(element)) deepest_ = std::max(deepest_, ++depth_);
    if (unseen_ > 0 || IsUnseen(element) || (attributes.Hides() && !IsVoid(element))) {
      if (!IsVoid(element)) ++unseen_;
      return;
    }
    Want(BreakOf(element));
    if (element == "br") {
      NewLine();
    } else if (element == "hr") {
      Write("----");
      Want(Break::kParagraph);
    } else if (element == "img") {
      Words(attributes.Get("alt").value_or(""));
    } else if (element == "a") {
      links_.push_back({std::string(attributes.Get("href").value_or("")), out_.size()});
    } else if (element == "ul" || element == "ol") {
      lists_.push_back(element == "ol" ? 1 : 0);
    } else if (element == "li") {
      StartItem();
    } else if (element == "blockquote") {
      ++quotes_;
    } else if (element == "pre") {
      ++preformatted_;
    }
  }

  void End(std::string_view element) {
    if (!IsVoid(element)) --depth_;
    if (unseen_ > 0) {
      if (!IsVoid(element)) --unseen_;
      return;
    }
    if (element == "a" && !links_.empty()) {
      EndLink();
    } else if ((element == "ul" || element == "ol") && !lists_.empty()) {
      lists_.pop_back();
      // The end of an inner list is the end of a line only.
      return Want(lists_.empty() ? Break::kParagraph : Break::kLine);
    } else if (element == "td" || element == "th") {
      blank_ = std::max(blank_, 2);
    } else if (element == "blockquote" && quotes_ > 0) {
      Want(Break::kParagraph);
      --quotes_;
    } else if (element == "pre" && preformatted_ > 0) {
      --preformatted_;
    }
    Want(BreakOf(element));
  }

  void Words(std::string_view text) {
    if (unseen_ > 0) return;
    while (!text.empty()) {
      const base::CodePoint c = base::DecodeUtf8(text);
      const std::string_view piece = text.substr(0, std::max<size_t>(c.size, 1));
      text.remove_prefix(piece.size());
      if (c.size == 0 || HasNoWidth(c.value)) continue;
      if (preformatted_ > 0 && c.value == '\n') {
        NewLine();
      } else if (IsBlank(c.value) && (preformatted_ == 0 || c.value == '\r')) {
        blank_ = std::max(blank_, 1);
      } else if (!base::IsControl(c.value) || c.value == '\t') {
        Write(piece);
      }
    }
  }

  bool TooDeep() const { return deepest_ > kMaxDepth; }

  std::string Text() && {
    if (!out_.empty()) out_ += '\n';
    return std::move(out_);
  }

 private:
  struct Link {
    std::string href;
    size_t begin;  // of its text
  };

  // Elements without an end, which the parser may or may not report.
  static bool IsVoid(std::string_view element) {
    return IsOneOf(element,
                   {"br", "hr", "img", "input", "meta", "link", "area", "base", "col", "embed",
                    "param", "source", "track", "wbr", "frame", "basefont", "isindex"});
  }

  void Want(Break wanted) { wanted_ = std::max(wanted_, wanted); }

  void NewLine() {
    blank_ = 0;
    ++lines_;
  }

  void StartItem() {
    const int depth = std::clamp(static_cast<int>(lists_.size()) - 1, 0, kMaxIndent);
    std::string marker(2 * depth, ' ');
    if (!lists_.empty() && lists_.back() > 0) {
      marker += std::to_string(lists_.back()++) + ".";
    } else {
      marker += "-";
    }
    Write(marker);
    blank_ = 1;
  }

  void EndLink() {
    const Link link = std::move(links_.back());
    links_.pop_back();
    std::string_view address = link.href;
    address = address.substr(0, address.find_first_of(" \t\r\n<>"));
    const bool mail = address.starts_with("mailto:");
    if (mail) address = address.substr(7, address.find('?') - 7);
    const bool leads = mail || address.starts_with("https://") || address.starts_with("http://") ||
                       address.starts_with("tel:");
    if (!leads || address.empty() || address.size() > kMaxLink) return;
    const std::string_view text = std::string_view(out_).substr(link.begin);
    // What is longer is no address.
    const bool short_text = text.size() <= 2 * kMaxLink;
    if (short_text && Squeezed(text).find(Squeezed(address)) != std::string::npos) return;
    if (!text.empty()) blank_ = 1;
    Write("<" + std::string(address) + ">");
  }

  // After the breaks and blanks that are due.
  void Write(std::string_view text) {
    int lines = std::max(lines_, static_cast<int>(wanted_));
    if (out_.empty()) lines = 0;
    const bool begins = out_.empty() || lines > 0;
    for (int i = 0; i < lines; ++i) {
      out_ += '\n';
      if (i + 1 < lines && std::min(quotes_, quotes_before_) > 0) out_ += ">";
    }
    if (begins && quotes_ > 0) out_ += std::string(std::min(quotes_, kMaxIndent), '>') + " ";
    if (!begins) out_.append(blank_, ' ');
    lines_ = blank_ = 0;
    wanted_ = Break::kNone;
    out_ += text;
    quotes_before_ = quotes_;
  }

  std::string out_;
  std::vector<Link> links_;
  std::vector<int> lists_;  // the next number; 0: not numbered
  int depth_ = 0;           // elements around this place
  int deepest_ = 0;
  int unseen_ = 0;  // elements that nobody sees, around this place
  int quotes_ = 0;
  int quotes_before_ = 0;  // where the last word stands
  int preformatted_ = 0;
  // Due before the next word.
  Break wanted_ = Break::kNone;
  int lines_ = 0;
  int blank_ = 0;
};

std::string_view Name(const xmlChar* name) { return reinterpret_cast<const char*>(name); }

void OnStart(void* writer, const xmlChar* name, const xmlChar** attributes) {
  static_cast<Writer*>(writer)->Start(Name(name), Attributes(attributes));
}
void OnEnd(void* writer, const xmlChar* name) { static_cast<Writer*>(writer)->End(Name(name)); }
void OnWords(void* writer, const xmlChar* text, int size) {
  static_cast<Writer*>(writer)->Words({reinterpret_cast<const char*>(text), size_t(size)});
}

}  // namespace

std::string TextOfHtml(std::string_view html) {
  if (html.size() > kMaxHtmlForText) return {};
  htmlSAXHandler handler = {};
  handler.startElement = &OnStart;
  handler.endElement = &OnEnd;
  handler.characters = &OnWords;
  handler.ignorableWhitespace = &OnWords;
  Writer writer;
  const std::unique_ptr<htmlParserCtxt, decltype(&htmlFreeParserCtxt)> parser(
      htmlCreatePushParserCtxt(&handler, &writer, nullptr, 0, nullptr, XML_CHAR_ENCODING_UTF8),
      &htmlFreeParserCtxt);
  if (!parser) throw std::bad_alloc();
  htmlCtxtUseOptions(parser.get(), HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
                                       HTML_PARSE_NONET | HTML_PARSE_IGNORE_ENC);
  for (size_t at = 0; at < html.size(); at += kChunk) {
    const std::string_view chunk = html.substr(at, kChunk);
    htmlParseChunk(parser.get(), chunk.data(), static_cast<int>(chunk.size()), 0);
    // The parser's time for a tag grows with the depth.
    if (writer.TooDeep()) return {};
  }
  htmlParseChunk(parser.get(), nullptr, 0, 1);
  return std::move(writer).Text();
}

}  // namespace sendstep::mime
