#include "plugin/fingerprint.h"

#include <deque>
#include <optional>
#include <string_view>
#include <vector>

namespace sendstep::plugin {
namespace {

// The parts of a digest; lists lead with how many there are, so that none runs into the next.
class Parts {
 public:
  // `text` outlives this.
  void Add(std::string_view text) { parts_.push_back(text); }
  void AddOwn(std::string text) { Add(owned_.emplace_back(std::move(text))); }
  void Add(const base::Address& address) { AddOwn(address.Spec()); }
  void Add(const mime::Mailbox& mailbox) {
    const auto& [address, name] = mailbox;
    Add(address);
    Add(std::string_view(name));
  }
  void Add(const std::string& text) { Add(std::string_view(text)); }
  void Add(const mime::Attachment& attachment) {
    const auto& [filename, content_type, content, content_id] = attachment;
    for (const std::string* text : {&filename, &content_type, &content, &content_id}) Add(*text);
  }
  void Add(const mime::Header& header) {
    const auto& [name, value] = header;
    Add(name);
    Add(value);
  }
  void Add(const mime::Unsubscribe& unsubscribe) {
    const auto& [url, mailbox, one_click] = unsubscribe;
    Add(url);
    Add(mailbox);
    AddOwn(one_click ? "1" : "0");
  }
  void Add(const smtp::Dsn& dsn) {
    const auto& [notify, content, envelope_id] = dsn;
    AddOwn(std::to_string(notify));
    AddOwn(std::to_string(static_cast<int>(content)));
    Add(envelope_id);
  }
  template <class T>
  void Add(const std::optional<T>& one) {
    AddOwn(one ? "1" : "0");
    if (one) Add(*one);
  }
  template <class T>
  void Add(const std::vector<T>& list) {
    AddOwn(std::to_string(list.size()));
    for (const T& one : list) Add(one);
  }

  const std::vector<std::string_view>& parts() const { return parts_; }

 private:
  std::deque<std::string> owned_;
  std::vector<std::string_view> parts_;
};

}  // namespace

std::string Fingerprint(const KeyedDigest& digest, const SendCommand& command) {
  // Every member by name: one that is added later does not compile until it has a place here.
  const auto& [from, header_sender, to, cc, reply_to, subject, text, html, attachments, headers,
               in_reply_to, references, unsubscribe, priority, calendar] = command.message;
  const auto& [sender, recipients, dsn, require_tls] = command.envelope;
  Parts parts;
  parts.Add(from);
  parts.Add(to);
  parts.Add(cc);
  parts.Add(reply_to);
  for (const std::string* body : {&subject, &text, &html, &in_reply_to}) parts.Add(*body);
  parts.Add(attachments);
  parts.Add(headers);
  parts.Add(references);
  parts.Add(header_sender);
  parts.Add(unsubscribe);
  parts.AddOwn(std::to_string(static_cast<int>(priority)));
  parts.AddOwn(sender ? sender->Spec() : "");
  parts.Add(recipients);
  parts.Add(calendar);
  parts.Add(dsn);
  parts.AddOwn(require_tls ? "1" : "0");
  return digest("fingerprint", parts.parts());
}

}  // namespace sendstep::plugin
