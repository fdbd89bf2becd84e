#include "tests/support/nsd_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace sendstep::testing {
namespace {

namespace fs = std::filesystem;
constexpr char kProgram[] = "/usr/sbin/nsd";

// Of UDP; TCP's may be taken, which Start() finds out.
int FreePort() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ::bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

}  // namespace

std::string NsdServer::Missing() {
  return fs::exists(kProgram) ? "" : "no NSD is installed (Debian: nsd)";
}

NsdServer::NsdServer(const std::map<std::string, std::string>& zones) {
  std::string name = "/tmp/nsd_test.XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  folder_ = name;
  for (int tries = 0; tries < 10; ++tries) {
    port_ = FreePort();
    Write(zones);
    if (Start()) return;
  }
  throw std::runtime_error("NSD does not start: " + Log());
}

NsdServer::~NsdServer() {
  if (pid_ > 0) {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void NsdServer::Write(const std::map<std::string, std::string>& zones) const {
  std::ofstream conf(folder_ / "nsd.conf");
  conf << "server:\n ip-address: 127.0.0.1@" << port_
       << "\n username: \"\"\n chroot: \"\"\n database: \"\"\n pidfile: \"\"\n server-count: 1\n"
       << " rrl-ratelimit: 0\n zonesdir: " << folder_
       << "\n zonelistfile: " << folder_ / "zone.list"
       << "\n xfrdfile: " << folder_ / "xfrd.state"
       << "\n xfrdir: " << folder_ << "\nremote-control:\n control-enable: no\n";
  for (const auto& [zone, records] : zones) {
    conf << "zone:\n name: \"" << zone << "\"\n zonefile: \"" << zone << "\"\n";
    if (records == "BROKEN") continue;
    std::ofstream(folder_ / zone) << "$ORIGIN " << zone
                                  << ".\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 77\n@ NS "
                                     "ns\nns A 127.0.0.1\n"
                                  << records;
  }
}

bool NsdServer::Start() {
  const std::string log = folder_ / "log", conf = folder_ / "nsd.conf";
  const char* arguments[] = {"setpriv", "--pdeathsig", "TERM",       kProgram,
                             "-d",      "-c",          conf.c_str(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  const int error = ::posix_spawnp(&pid_, arguments[0], &actions, nullptr,
                                   const_cast<char**>(arguments), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot run setpriv");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (Log().find("nsd started") == std::string::npos) {
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      return false;
    }
    if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error(Log());
    ::poll(nullptr, 0, 5);
  }
  return true;
}

std::string NsdServer::Log() const {
  std::ostringstream text;
  text << std::ifstream(folder_ / "log").rdbuf();
  return text.str();
}

}  // namespace sendstep::testing
