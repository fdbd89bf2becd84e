#include "transport/net/certificate.h"

#include <openssl/bio.h>
#include <openssl/x509v3.h>

#include <boost/asio/ip/address.hpp>
#include <cstring>
#include <ctime>
#include <memory>
#include <vector>

namespace sendstep::net {
namespace {

constexpr size_t kMaxNameBytes = 80;
constexpr size_t kMaxNames = 3;

// Of the server's choosing: printable ASCII only, cut.
std::string Printable(const unsigned char* bytes, size_t size) {
  std::string text;
  for (size_t i = 0; i < size && text.size() < kMaxNameBytes; ++i) {
    text += bytes[i] >= 0x20 && bytes[i] < 0x7f ? static_cast<char>(bytes[i]) : '?';
  }
  return text;
}

std::string IpText(const ASN1_OCTET_STRING* ip) {
  const unsigned char* bytes = ASN1_STRING_get0_data(ip);
  if (ASN1_STRING_length(ip) == 4) {
    boost::asio::ip::address_v4::bytes_type v4;
    std::memcpy(v4.data(), bytes, v4.size());
    return boost::asio::ip::address_v4(v4).to_string();
  }
  if (ASN1_STRING_length(ip) == 16) {
    boost::asio::ip::address_v6::bytes_type v6;
    std::memcpy(v6.data(), bytes, v6.size());
    return boost::asio::ip::address_v6(v6).to_string();
  }
  return "?";
}

std::vector<std::string> AlternativeNames(const X509* certificate) {
  std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> names(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      &GENERAL_NAMES_free);
  std::vector<std::string> found;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      found.push_back(
          Printable(ASN1_STRING_get0_data(name->d.dNSName), ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      found.push_back(IpText(name->d.iPAddress));
    }
  }
  return found;
}

std::string CommonName(const X509* certificate) {
  const X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return {};
  const ASN1_STRING* text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
  return Printable(ASN1_STRING_get0_data(text), ASN1_STRING_length(text));
}

}  // namespace

std::string SubjectText(const X509* certificate) {
  std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), &BIO_free);
  X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate), 0,
                     XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return size > 0 ? std::string(text, size) : std::string();
}

std::string NamesText(const X509* certificate) {
  std::vector<std::string> names = AlternativeNames(certificate);
  if (names.empty()) names.push_back(CommonName(certificate));
  std::string text;
  for (size_t i = 0; i < names.size() && i < kMaxNames; ++i) {
    text += (text.empty() ? "" : ", ") + names[i];
  }
  if (names.size() > kMaxNames) {
    text += " and " + std::to_string(names.size() - kMaxNames) + " more";
  }
  return text.empty() ? "no name at all" : text;
}

std::chrono::system_clock::time_point ToTimePoint(const ASN1_TIME* time) {
  std::tm utc{};
  if (!time || !ASN1_TIME_to_tm(time, &utc)) return {};
  return std::chrono::system_clock::from_time_t(timegm(&utc));
}

std::string DateText(const ASN1_TIME* time) {
  std::tm utc{};
  if (!time || !ASN1_TIME_to_tm(time, &utc)) return "an unreadable date";
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d", &utc);
  return text;
}

std::string CertificateFault(int error, int depth, const X509* certificate,
                             const std::string& server_name) {
  const std::string which = depth == 0 ? "certificate" : "an issuer's certificate";
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return which + " has expired on " + DateText(X509_get0_notAfter(certificate));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return which + " is not valid before " + DateText(X509_get0_notBefore(certificate));
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "certificate is for " + NamesText(certificate) + ", not " + server_name;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return "self-signed certificate, which is not trusted";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return "self-signed certificate in certificate chain: its root is not trusted";
    case X509_V_ERR_DANE_NO_MATCH:
      return "the server's key is not the one that is pinned";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return "unable to get local issuer certificate: its issuer is not trusted, or the server "
             "leaves out an intermediate certificate";
    default:
      return X509_verify_cert_error_string(error);
  }
}

}  // namespace sendstep::net
