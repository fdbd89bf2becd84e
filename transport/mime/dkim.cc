#include "transport/mime/dkim.h"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <utility>

#include "transport/base/base64.h"

namespace sendstep::mime {
namespace {

// RFC 6376 5.4.1, and what RFC 8058 4 wants. `always`: also where the message has none, so that
// nobody can add one.
struct SignedField {
  std::string_view name;
  bool always;
};
constexpr SignedField kSignedFields[] = {
    {"from", true},
    {"sender", false},
    {"reply-to", true},
    {"subject", true},
    {"date", true},
    {"to", true},
    {"cc", true},
    {"message-id", false},
    {"in-reply-to", false},
    {"references", false},
    {"mime-version", false},
    {"content-type", false},
    {"content-transfer-encoding", false},
    {"list-unsubscribe", false},
    {"list-unsubscribe-post", false},
};

constexpr size_t kPortion = size_t{64} << 10;  // of the message, read at once
constexpr size_t kFoldAt = 76;                 // as the other fields, see HeaderWriter
constexpr size_t kDigitsOfALine = 72;          // of b=

class Sha256 {
 public:
  Sha256() { Check(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr)); }
  void Update(std::string_view bytes) {
    Check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
  }
  std::string Finish() {
    std::string hash(EVP_MAX_MD_SIZE, '\0');
    unsigned int size = 0;
    Check(EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(hash.data()), &size));
    hash.resize(size);
    return hash;
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  static void Check(int worked) {
    if (worked != 1) throw std::runtime_error("OpenSSL cannot compute SHA-256");
  }
  std::unique_ptr<EVP_MD_CTX, Free> context_{EVP_MD_CTX_new()};
};

std::string Base64(std::string_view bytes) {
  std::string digits;
  base::AppendBase64(bytes, digits);
  return digits;
}

// A header field that is folded between its parts.
class FoldedField {
 public:
  explicit FoldedField(std::string_view begin) : text_(begin), column_(begin.size()) {}

  // `blank`: what stands before it where the line goes on.
  void Add(std::string_view part, std::string_view blank) {
    if (column_ + blank.size() + part.size() > kFoldAt) {
      text_ += "\r\n";
      column_ = 0;
      blank = " ";
    }
    text_ += blank;
    text_ += part;
    column_ += blank.size() + part.size();
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  size_t column_;  // of the line being written
};

// What h= lists.
std::vector<std::string_view> NamesToSign(std::string_view header) {
  const auto fields = HeaderFields(header);
  std::vector<std::string_view> names;
  for (const SignedField& signed_field : kSignedFields) {
    const auto count = std::ranges::count_if(
        fields, [&](std::string_view field) { return IsField(field, signed_field.name); });
    if (count == 0 && !signed_field.always) continue;
    names.insert(names.end(), static_cast<size_t>(count) + 1, signed_field.name);
  }
  return names;
}

// Without its last line break.
base::Result<std::string> SignatureField(const DkimDigest& digest,
                                         const std::vector<std::string_view>& names,
                                         const DkimKey& key, const std::string& time) {
  FoldedField field("DKIM-Signature: v=1;");
  field.Add("a=" + std::string(key.algorithm()) + ";", " ");
  field.Add("c=relaxed/relaxed;", " ");
  field.Add("d=" + key.domain() + ";", " ");
  field.Add("s=" + key.selector() + ";", " ");
  field.Add("t=" + time + ";", " ");
  for (size_t i = 0; i < names.size(); ++i) {
    const bool last = i + 1 == names.size();
    field.Add((i == 0 ? "h=" : "") + std::string(names[i]) + (last ? ";" : ":"), i == 0 ? " " : "");
  }
  field.Add("bh=" + digest.body_hash + ";", " ");
  field.Add("b=", " ");
  const auto signature =
      key.Sign(DkimSigningInput(digest.header, names, field.text(), DkimForm::kRelaxed));
  if (!signature) return signature.error();
  const std::string digits = Base64(*signature);
  for (size_t begin = 0; begin < digits.size(); begin += kDigitsOfALine) {
    field.Add(std::string_view(digits).substr(begin, kDigitsOfALine), "");
  }
  return field.text();
}

}  // namespace

DkimDigest DigestMessage(const base::Content& message, DkimForm body_form) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  DkimDigest digest;
  Sha256 hash;
  DkimBody body(body_form, [&hash](std::string_view bytes) { hash.Update(bytes); });
  std::string scratch;
  scratch.reserve(kPortion);
  bool in_header = true;
  for (base::ContentReader reader(message); !reader.done();) {
    scratch.clear();
    std::string_view portion = reader.Next(kPortion, scratch);
    if (in_header) {
      const size_t known = digest.header.size();
      digest.header += portion;
      const size_t end = digest.header.find(kEnd, known - std::min(known, kEnd.size() - 1));
      if (end == digest.header.npos) continue;
      in_header = false;
      portion.remove_prefix(end + kEnd.size() - known);
      digest.header.resize(end + 2);
    }
    body.Append(portion);
  }
  body.Finish();
  digest.body_hash = Base64(hash.Finish());
  return digest;
}

std::string DkimSigningInput(std::string_view header, const std::vector<std::string_view>& names,
                             std::string_view signature_field, DkimForm header_form) {
  std::vector<std::string_view> fields = HeaderFields(header);
  std::string input;
  for (const std::string_view name : names) {
    const auto found =
        std::ranges::find_if(fields.rbegin(), fields.rend(),
                             [name](std::string_view field) { return IsField(field, name); });
    if (found == fields.rend()) continue;  // that there is none is signed, too
    input += CanonicalField(*found, header_form);
    fields.erase(std::next(found).base());
  }
  return input + CanonicalField(signature_field, header_form);
}

base::Result<base::Content> DkimSigned(base::Content message, const std::vector<DkimKey>& keys,
                                       std::chrono::system_clock::time_point at) {
  const DkimDigest digest = DigestMessage(message, DkimForm::kRelaxed);
  const auto names = NamesToSign(digest.header);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(at.time_since_epoch());
  const std::string time = std::to_string(seconds.count());
  std::string signatures;
  for (const DkimKey& key : keys) {
    auto field = SignatureField(digest, names, key, time);
    if (!field) return field.error();
    signatures += *field + "\r\n";
  }
  message.Prepend(std::move(signatures));
  return message;
}

}  // namespace sendstep::mime
