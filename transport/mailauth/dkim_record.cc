#include "transport/mailauth/dkim_record.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "transport/base/base64.h"
#include "transport/mailauth/tag_list.h"

namespace sendstep::mailauth {
namespace {

namespace asio = boost::asio;
using dns::RecordType;

constexpr int kMinBits = 1024;   // RFC 8301 3.2: receivers must not take less
constexpr int kGoodBits = 2048;  // RFC 8301 3.2: signers should use it
constexpr int kMaxBits = 4096;   // receivers need not verify more
constexpr size_t kEd25519Bytes = 32;
constexpr size_t kMaxKeyBytes = 8 * 1024;

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

// SubjectPublicKeyInfo, or the bare RSAPublicKey that some tools write (RFC 6376 3.6.1 has both).
Key ParseRsa(const std::string& der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  Key key(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())), &EVP_PKEY_free);
  if (!key) {
    at = reinterpret_cast<const unsigned char*>(der.data());
    key.reset(d2i_PublicKey(EVP_PKEY_RSA, nullptr, &at, static_cast<long>(der.size())));
  }
  ERR_clear_error();
  if (key && EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA) key.reset();
  return key;
}

class Parser {
 public:
  Parser(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  DkimRecord Run() {
    const TagList list = ParseTagList(text_);
    for (const std::string& part : list.malformed) {
      Say(Severity::kError, "dkim.syntax", "\"" + part + "\" is not a tag (name=value).",
          "Publish the record exactly as the provider shows it.");
    }
    LintPasted();
    for (size_t i = 0; i < list.tags.size(); ++i) Take(list.tags[i], i);
    if (!key_) {
      problems_.clear();  // of something else, such as what a wildcard has for every name
      Say(Severity::kError, "dkim.no_key",
          "\"" + Excerpt(text_) + "\" is no DKIM key: it has no p=.",
          "Publish the record exactly as the provider shows it.");
    } else if (kind_known_) {
      TakeKey(*key_);
    }
    record_.usable = record_.usable && usable_;
    record_.problems = std::move(problems_);
    return std::move(record_);
  }

 private:
  void Say(Severity severity, std::string id, std::string message, std::string what_to_do = {}) {
    problems_.push_back(
        {severity, std::move(id), std::string(name_), std::move(message), std::move(what_to_do)});
  }
  void Unusable(std::string id, std::string message, std::string what_to_do) {
    usable_ = false;
    Say(Severity::kError, std::move(id), std::move(message), std::move(what_to_do));
  }

  // Quotes and backslashes of a zone file that became part of the record.
  void LintPasted() {
    if (text_.find_first_of("\"\\") == std::string_view::npos) return;
    Unusable("dkim.quotes", "The record has quotes or backslashes in it.",
             "Paste it without the quotes and backslashes of a zone file.");
  }

  void Take(const Tag& tag, size_t place) {
    if (std::ranges::count(seen_, tag.name) > 0) {
      return Unusable("dkim.duplicate_tag", "The tag " + tag.name + "= occurs twice.",
                      "Keep one of them.");
    }
    seen_.push_back(tag.name);
    if (tag.name == "v") return TakeVersion(tag.value, place);
    if (tag.name == "k") return TakeKind(tag.value);
    if (tag.name == "h") return TakeHashes(tag.value);
    if (tag.name == "s") return TakeServices(tag.value);
    if (tag.name == "t") return TakeFlags(tag.value);
    if (tag.name == "p") key_ = tag.value;
    if (tag.name == "g") {
      Say(Severity::kInfo, "dkim.obsolete_tag", "g= is of an older DKIM; receivers ignore it.");
    }
  }

  void TakeVersion(const std::string& value, size_t place) {
    if (value == "DKIM1" && place == 0) return;
    Unusable("dkim.version",
             value == "DKIM1" ? "v=DKIM1 is not the first tag."
                              : "v=" + Excerpt(value) + " is not v=DKIM1.",
             "Write v=DKIM1 first, or no v= at all.");
  }

  void TakeKind(const std::string& value) {
    const std::string lower = LowerAscii(value);
    if (lower == "rsa") {
      record_.kind = DkimKeyKind::kRsa;
    } else if (lower == "ed25519") {
      record_.kind = DkimKeyKind::kEd25519;
    } else {
      record_.kind = DkimKeyKind::kUnknown;
      kind_known_ = false;
      Unusable("dkim.unknown_kind", "k=" + Excerpt(value) + " is no kind of key.",
               "Write k=rsa or k=ed25519.");
    }
  }

  static bool Lists(std::string_view value, std::string_view wanted) {
    while (!value.empty()) {
      const size_t end = std::min(value.find(':'), value.size());
      if (LowerAscii(Trimmed(value.substr(0, end))) == wanted) return true;
      value.remove_prefix(std::min(end + 1, value.size()));
    }
    return false;
  }

  void TakeHashes(const std::string& value) {
    if (Lists(value, "sha256")) return;
    Unusable("dkim.no_sha256",
             "h=" + Excerpt(value) +
                 " does not allow sha256, the only hash that "
                 "receivers take (RFC 8301).",
             "Write h=sha256, or no h= at all.");
  }

  void TakeServices(const std::string& value) {
    if (Lists(value, "*") || Lists(value, "email")) return;
    Unusable("dkim.not_for_email", "s=" + Excerpt(value) + " says that the key is not for email.",
             "Write s=email, or no s= at all.");
  }

  void TakeFlags(const std::string& value) {
    record_.testing = Lists(value, "y");
    record_.strict = Lists(value, "s");
    if (record_.testing) {
      Say(Severity::kWarning, "dkim.testing",
          "t=y: the domain tests DKIM, and receivers treat its mail as if it were unsigned.",
          "Remove t=y once mail is signed.");
    }
  }

  void TakeKey(const std::string& value) {
    std::string text;
    for (const char c : value) {
      if (std::string_view(" \t\r\n").find(c) == std::string_view::npos) text += c;
    }
    if (text.empty()) {
      record_.revoked = true;
      return Unusable("dkim.revoked", "p= is empty: the key is revoked.",
                      "Publish the key that the provider shows now.");
    }
    const std::optional<std::string> der =
        text.size() <= kMaxKeyBytes ? base::DecodeBase64(text) : std::nullopt;
    if (!der) {
      return Unusable("dkim.bad_key", "p= is not base64, or cut off.",
                      "Publish the record exactly as the provider shows it.");
    }
    if (record_.kind == DkimKeyKind::kEd25519) return TakeEd25519(*der);
    TakeRsa(*der);
  }

  void TakeEd25519(const std::string& bytes) {
    if (bytes.size() != kEd25519Bytes) {
      return Unusable(
          "dkim.bad_key",
          "An Ed25519 key has 32 bytes; p= has " + std::to_string(bytes.size()) + " (RFC 8463 4).",
          "Publish the record exactly as the provider shows it.");
    }
    record_.usable = true;
    Say(Severity::kWarning, "dkim.ed25519_only", "Not every receiver verifies Ed25519 (RFC 8463).",
        "Have mail signed with an RSA key as well.");
  }

  void TakeRsa(const std::string& der) {
    record_.kind = DkimKeyKind::kRsa;
    const Key key = ParseRsa(der);
    if (!key) {
      return Unusable("dkim.bad_key", "p= is no RSA key, or cut off.",
                      "Publish the record exactly as the provider shows it.");
    }
    record_.bits = EVP_PKEY_get_bits(key.get());
    const std::string bits = std::to_string(record_.bits) + " bits";
    if (record_.bits < kMinBits) {
      return Unusable("dkim.short_key",
                      "The RSA key has " + bits + "; receivers take none below 1,024 (RFC 8301).",
                      "Have the provider make one of 2,048 bits.");
    }
    record_.usable = true;
    if (record_.bits < kGoodBits) {
      Say(Severity::kWarning, "dkim.short_key", "The RSA key has " + bits + "; 2,048 are advised.",
          "Have the provider make one of 2,048 bits.");
    } else if (record_.bits > kMaxBits) {
      Say(Severity::kWarning, "dkim.long_key",
          "The RSA key has " + bits + "; receivers need not verify more than 4,096.",
          "Use one of 2,048 bits.");
    }
  }

  std::string_view text_, name_;
  DkimRecord record_{.kind = DkimKeyKind::kRsa};
  std::optional<std::string> key_;
  bool kind_known_ = true, usable_ = true;
  std::vector<std::string> seen_;
  std::vector<Problem> problems_;
};

void LintAnswer(DkimSelector& selector) {
  const dns::Answer& answer = selector.answer;
  if (answer.is_void() && !answer.aliases.empty()) {
    selector.problems.push_back(
        {Severity::kError, "dkim.dangling_cname", selector.name,
         "The CNAME leads to " + answer.aliases.back() + ", where there is no key.",
         "Compare it with what the provider shows."});
  } else if (answer.is_void()) {
    selector.problems.push_back({Severity::kError, "dkim.missing", selector.name,
                                 "No DKIM key is published here.",
                                 "Publish the record that the provider shows."});
  } else if (answer.records.size() > 1) {
    selector.problems.push_back({Severity::kError, "dkim.several", selector.name,
                                 "There are " + std::to_string(answer.records.size()) +
                                     " records: which one receivers take is not defined.",
                                 "Keep one."});
  }
}

}  // namespace

DkimRecord ParseDkimRecord(std::string_view text, std::string_view name) {
  return Parser(text, name).Run();
}

asio::awaitable<DkimSelector> LookUpDkim(dns::Inquiry& inquiry, std::string selector,
                                         std::string domain) {
  DkimSelector found;
  found.name = selector + "._domainkey." + domain;
  found.answer = co_await inquiry.Ask(found.name, RecordType::kTxt);
  LintAnswer(found);
  for (const dns::Record& record : found.answer.records) {
    found.records.push_back(ParseDkimRecord(record.text, found.name));
    const std::vector<Problem>& problems = found.records.back().problems;
    found.problems.insert(found.problems.end(), problems.begin(), problems.end());
  }
  co_return found;
}

asio::awaitable<DkimPresence> ProbeDkim(dns::Inquiry& inquiry, std::string domain) {
  const dns::Answer answer = co_await inquiry.Ask("_domainkey." + domain, RecordType::kTxt);
  if (answer.outcome == dns::Outcome::kNoDomain) co_return DkimPresence::kNone;
  co_return answer.found() || answer.outcome == dns::Outcome::kNoData ? DkimPresence::kLikely
                                                                      : DkimPresence::kUnknown;
}

}  // namespace sendstep::mailauth
