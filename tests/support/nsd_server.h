// An authoritative DNS server, Debian's NSD, on a free port of 127.0.0.1 with the zones of a test.
// It goes with the program, however that ends.
#ifndef SENDSTEP_TESTS_SUPPORT_NSD_SERVER_H_
#define SENDSTEP_TESTS_SUPPORT_NSD_SERVER_H_

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>

namespace sendstep::testing {

class NsdServer {
 public:
  // Why no server can be had here; empty: it can.
  static std::string Missing();

  // Zone -> its records below the SOA and NS that every zone gets (TTL 60, negative TTL 77), as a
  // master file has them (RFC 1035 5). A zone of "BROKEN" answers SERVFAIL. Throws where NSD does
  // not start.
  explicit NsdServer(const std::map<std::string, std::string>& zones);
  ~NsdServer();
  NsdServer(const NsdServer&) = delete;
  NsdServer& operator=(const NsdServer&) = delete;

  // For CaresOptions::servers.
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  void Write(const std::map<std::string, std::string>& zones) const;
  // False: the port was taken meanwhile.
  bool Start();
  std::string Log() const;

  std::filesystem::path folder_;
  int port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace sendstep::testing

#endif  // SENDSTEP_TESTS_SUPPORT_NSD_SERVER_H_
