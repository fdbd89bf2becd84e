#include "transport/mime/part.h"

#include <openssl/evp.h>

#include <algorithm>
#include <utility>

#include "transport/mime/header_writer.h"
#include "transport/mime/media_type.h"

namespace sendstep::mime {
namespace {

constexpr size_t kBoundaryDigits = 32;  // 128 bits
constexpr std::string_view kBoundaryPrefix = "=_";
// Header fields and boundaries of one part, generously.
constexpr size_t kPartOverhead = 512;
// Larger files are left where they are and become base64 as they are read.
constexpr size_t kMaxFileInText = size_t{16} << 10;

bool StaysWhereItIs(const Part& part) {
  return part.file != nullptr && part.encoding == Encoding::kBase64 &&
         part.file->size() > kMaxFileInText;
}

MediaType OctetStream() { return {"application", "octet-stream", {}}; }

// Types that RFC 2046 5.2.1 and those after it bind to 7bit; message/global (RFC 6532) may be
// encoded.
bool IsUnencodedMessage(const MediaType& type) {
  return type.type == "message" && !type.subtype.starts_with("global");
}

MediaType TypeOf(const Attachment& attachment) {
  const auto type = ParseMediaType(attachment.content_type);
  if (!type || type->type == "multipart") return OctetStream();
  if (IsUnencodedMessage(*type) && !Is7Bit(attachment.content)) return OctetStream();
  return *type;
}

void WriteContentType(const MediaType& type, std::string_view filename, std::string& out) {
  HeaderWriter header("Content-Type", out);
  header.Word(type.Name());
  for (const auto& [name, value] : type.parameters) {
    if (name == "name" && !filename.empty()) continue;
    header.Parameter(name, value);
  }
  if (!filename.empty()) header.Parameter("name", filename);
}

void WriteField(std::string_view name, std::string_view word, std::string& out) {
  HeaderWriter(name, out).Word(word);
}

std::string Digest(std::string_view seed, size_t index) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const std::string input = std::to_string(index) + ":" + std::string(seed);
  unsigned char digest[EVP_MAX_MD_SIZE] = {};
  EVP_Digest(input.data(), input.size(), digest, nullptr, EVP_sha256(), nullptr);
  std::string digits;
  for (size_t i = 0; i < kBoundaryDigits / 2; ++i)
    digits += {kHex[digest[i] >> 4], kHex[digest[i] & 15]};
  return digits;
}

bool Occurs(std::string_view boundary, const Part& part) {
  // "=_" is in no quoted-printable and in no base64 (RFC 2045 6.7).
  if (part.encoding == Encoding::k7Bit && part.Content().find(boundary) != std::string_view::npos) {
    return true;
  }
  return std::any_of(part.children.begin(), part.children.end(),
                     [&](const Part& child) { return Occurs(boundary, child); });
}

class Writer {
 public:
  Writer(const Part& root, std::string_view seed, std::string text)
      : root_(root), seed_(seed), text_(std::move(text)) {}

  base::Content Write() && {
    WriteOne(root_);
    if (!text_.ends_with("\r\n")) text_ += "\r\n";
    content_.Append(std::move(text_));
    return std::move(content_);
  }

 private:
  void WriteOne(const Part& part) {
    if (!part.children.empty()) return WriteMultipart(part);
    text_ += part.header;
    text_ += "\r\n";
    if (!StaysWhereItIs(part)) return AppendEncoded(part.Content(), part.encoding, text_);
    content_.Append(std::exchange(text_, {}));
    content_.AppendBase64(*part.file);
  }

  void WriteMultipart(const Part& part) {
    const std::string boundary = NextBoundary();
    {
      HeaderWriter header("Content-Type", text_);
      header.Word("multipart/" + part.multipart);
      if (part.multipart == "related") header.Parameter("type", "text/html");  // RFC 2387 3.1
      header.Parameter("boundary", boundary);
    }
    for (const Part& child : part.children) {
      text_ += "\r\n--" + boundary + "\r\n";
      WriteOne(child);
    }
    text_ += "\r\n--" + boundary + "--";
  }

  std::string NextBoundary() {
    std::string boundary;
    do {
      boundary = std::string(kBoundaryPrefix) + Digest(seed_, index_++);
    } while (Occurs(boundary, root_));
    return boundary;
  }

  const Part& root_;
  std::string_view seed_;
  std::string text_;  // what follows the pieces so far
  base::Content content_;
  size_t index_ = 0;
};

Part BodyPart(const MediaType& type, std::string_view text) {
  Part part;
  part.text = CanonicalLines(text);
  part.encoding = ChooseEncoding(part.text);
  WriteContentType(type, {}, part.header);
  WriteField("Content-Transfer-Encoding", EncodingName(part.encoding), part.header);
  return part;
}

}  // namespace

Part TextPart(std::string_view subtype, std::string_view text) {
  return BodyPart({"text", std::string(subtype), {{"charset", "utf-8"}}}, text);
}

Part CalendarPart(std::string_view object, std::string method) {
  return BodyPart({"text", "calendar", {{"charset", "utf-8"}, {"method", std::move(method)}}},
                  object);
}

Part FilePart(const Attachment& attachment, bool is_inline) {
  const MediaType type = TypeOf(attachment);
  Part part;
  part.file = &attachment.content;
  part.encoding = IsUnencodedMessage(type) ? Encoding::k7Bit : Encoding::kBase64;
  WriteContentType(type, attachment.filename, part.header);
  WriteField("Content-Transfer-Encoding", EncodingName(part.encoding), part.header);
  {
    HeaderWriter disposition("Content-Disposition", part.header);
    disposition.Word(is_inline ? "inline" : "attachment");
    if (!attachment.filename.empty()) disposition.Parameter("filename", attachment.filename);
  }
  if (!attachment.content_id.empty()) {
    WriteField("Content-ID", "<" + attachment.content_id + ">", part.header);
  }
  return part;
}

Part Multipart(std::string_view subtype, std::vector<Part> children) {
  if (children.size() == 1) return std::move(children.front());
  Part part;
  part.multipart = subtype;
  part.children = std::move(children);
  return part;
}

size_t TextSize(const Part& part) {
  size_t size = kPartOverhead + part.header.size();
  if (!StaysWhereItIs(part)) size += EncodedSize(part.Content(), part.encoding);
  for (const Part& child : part.children) size += TextSize(child);
  return size;
}

base::Content WritePart(const Part& part, std::string_view boundary_seed, std::string text) {
  return Writer(part, boundary_seed, std::move(text)).Write();
}

}  // namespace sendstep::mime
