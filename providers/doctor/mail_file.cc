#include "providers/doctor/mail_file.h"

#include <gmime/gmime.h>

#include <memory>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace sendstep::doctor {
namespace {

constexpr size_t kMaxText = 64 * 1024;
constexpr int kMaxDepth = 20;
constexpr int kMaxParts = 1000;

struct Unref {
  void operator()(void* object) const { g_object_unref(object); }
};
template <class T>
using Owned = std::unique_ptr<T, Unref>;

struct Free {
  void operator()(char* text) const { g_free(text); }
};
using Text = std::unique_ptr<char, Free>;

void InitLibrary() {
  static const bool done = [] {
    g_mime_init();
    return true;
  }();
  (void)done;
}

// Some servers send a mail store's "From " line along.
std::string_view WithoutEnvelopeLine(std::string_view bytes) {
  if (!bytes.starts_with("From ")) return bytes;
  const size_t end = bytes.find('\n');
  return end == std::string_view::npos ? std::string_view() : bytes.substr(end + 1);
}

std::string ContentOf(GMimePart* part) {
  GMimeDataWrapper* wrapper = g_mime_part_get_content(part);
  if (wrapper == nullptr) return "";
  const Owned<GMimeStream> stream(g_mime_stream_mem_new());
  g_mime_data_wrapper_write_to_stream(wrapper, stream.get());
  const GByteArray* bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream.get()));
  return std::string(reinterpret_cast<const char*>(bytes->data),
                     std::min<size_t>(bytes->len, kMaxText * 4));
}

class Reader {
 public:
  explicit Reader(MailFile& out) : out_(out) {}

  void Visit(GMimeObject* object, int depth) {
    if (object == nullptr || depth > kMaxDepth || ++parts_ > kMaxParts) return;
    GMimeContentType* type = g_mime_object_get_content_type(object);
    // GMime reads this one as a part, or as a message of its own.
    if (g_mime_content_type_is_type(type, "message", "delivery-status") ||
        g_mime_content_type_is_type(type, "message", "global-delivery-status")) {
      if (GMIME_IS_PART(object) && out_.delivery_status.empty()) {
        out_.delivery_status = ContentOf(GMIME_PART(object));
      }
    } else if (GMIME_IS_MULTIPART(object)) {
      auto* multipart = GMIME_MULTIPART(object);
      const int count = g_mime_multipart_get_count(multipart);
      for (int i = 0; i < count; ++i) Visit(g_mime_multipart_get_part(multipart, i), depth + 1);
    } else if (GMIME_IS_TEXT_PART(object) && out_.text.empty() &&
               g_mime_content_type_is_type(type, "text", "plain")) {
      if (const Text text{g_mime_text_part_get_text(GMIME_TEXT_PART(object))}) {
        out_.text = std::string(text.get()).substr(0, kMaxText);
      }
    }
  }

 private:
  MailFile& out_;
  int parts_ = 0;
};

std::string FromDomain(GMimeMessage* message) {
  InternetAddressList* list = g_mime_message_get_from(message);
  if (list == nullptr || internet_address_list_length(list) == 0) return "";
  InternetAddress* first = internet_address_list_get_address(list, 0);
  if (!INTERNET_ADDRESS_IS_MAILBOX(first)) return "";
  const char* address = internet_address_mailbox_get_idn_addr(INTERNET_ADDRESS_MAILBOX(first));
  const std::string_view text = address ? address : "";
  const size_t at = text.rfind('@');
  if (at == std::string_view::npos) return "";
  return absl::AsciiStrToLower(std::string(text.substr(at + 1)));
}

void ReadHeaders(GMimeMessage* message, MailFile& out) {
  GMimeHeaderList* headers = g_mime_object_get_header_list(GMIME_OBJECT(message));
  bool known = false;
  for (int i = 0; i < g_mime_header_list_get_count(headers); ++i) {
    GMimeHeader* header = g_mime_header_list_get_header_at(headers, i);
    const std::string name = g_mime_header_get_name(header);
    for (const char* wanted : {"From", "Received", "Subject", "Message-ID", "Return-Path", "To",
                               "Authentication-Results", "Date"}) {
      known = known || absl::EqualsIgnoreCase(name, wanted);
    }
    const char* raw = g_mime_header_get_raw_value(header);
    if (absl::EqualsIgnoreCase(name, "Authentication-Results") && raw != nullptr) {
      out.authentication_results.emplace_back(raw);
    }
  }
  out.is_mail = known;
  out.from = FromDomain(message);
  if (const char* subject = g_mime_message_get_subject(message)) out.subject = subject;
}

}  // namespace

MailFile ReadMailFile(const std::string& bytes) {
  InitLibrary();
  MailFile out;
  const std::string_view mail = WithoutEnvelopeLine(bytes);
  const Owned<GMimeStream> stream(g_mime_stream_mem_new_with_buffer(mail.data(), mail.size()));
  const Owned<GMimeParser> parser(g_mime_parser_new_with_stream(stream.get()));
  const Owned<GMimeMessage> message(g_mime_parser_construct_message(parser.get(), nullptr));
  if (!message) return out;
  ReadHeaders(message.get(), out);
  Reader(out).Visit(g_mime_message_get_mime_part(message.get()), 0);
  return out;
}

}  // namespace sendstep::doctor
