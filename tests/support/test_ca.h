// Certificates made at test time: an authority and what it issues, all with fresh P-256 keys.
#ifndef SENDSTEP_TESTS_SUPPORT_TEST_CA_H_
#define SENDSTEP_TESTS_SUPPORT_TEST_CA_H_

#include <openssl/types.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace sendstep::testing {

// What a server needs: its certificate and its key, PEM.
struct Identity {
  std::string certificate_pem;
  std::string key_pem;
};

struct LeafOptions {
  std::string common_name = "sendstep test";
  std::vector<std::string> names;  // subjectAltName, DNS
  std::vector<std::string> ips;    // subjectAltName, IP
  // Counted from now.
  std::chrono::seconds not_before = -std::chrono::hours(1);
  std::chrono::seconds not_after = std::chrono::hours(24);
};

class TestCa {
 public:
  explicit TestCa(const std::string& common_name = "sendstep test root");

  const std::string& certificate_pem() const { return certificate_pem_; }
  Identity Issue(const LeafOptions& options) const;
  // Signed by its own key.
  static Identity SelfSigned(const LeafOptions& options);

 private:
  std::shared_ptr<EVP_PKEY> key_;
  std::shared_ptr<X509> certificate_;
  std::string certificate_pem_;
};

}  // namespace sendstep::testing

#endif  // SENDSTEP_TESTS_SUPPORT_TEST_CA_H_
