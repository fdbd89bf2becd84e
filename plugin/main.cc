// sendstepd: reads the settings, serves until a signal comes, stops.
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "plugin/logging.h"
#include "plugin/server.h"
#include "plugin/server_config.h"

namespace {

using sendstep::plugin::Level;
using sendstep::plugin::Log;

constexpr int kFailed = 1;

// Passwords pass through this process: no core dumps, no debugger of the same user.
void ProtectMemory() {
  const rlimit none = {0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0);
}

void RaiseDescriptorLimit() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

void WaitForSignal() {
  const sigset_t set = StopSignals();
  int signal = 0;
  while (sigwait(&set, &signal) != 0) {
  }
  Log(Level::kInfo, "signal", {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
}

}  // namespace

// Read by jemalloc, where it is linked (jemalloc(3), TUNING): freed memory goes back to the system
// within a second, not ten. Otherwise requests that were refused while they arrived add up.
extern "C" const char* malloc_conf;
const char* malloc_conf = "dirty_decay_ms:500";

int main(int argc, char** argv) {
  ProtectMemory();
  // gRPC takes its locks thousands of times a second; looking for cycles among them is for tests.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is the ledger's error, not the end
  const auto command_line = sendstep::plugin::ParseCommandLine(
      std::vector<std::string>(argv + 1, argv + argc), sendstep::plugin::ProcessEnvironment());
  if (!command_line.config) {
    (command_line.exit_code == 0 ? std::cout : std::cerr) << command_line.output;
    return command_line.exit_code;
  }
  sendstep::plugin::SetLogLevel(command_line.config->log_level);
  sendstep::plugin::RouteGrpcLogs();
  RaiseDescriptorLimit();
  // Before any thread is made, so that all of them leave the signals to sigwait.
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  auto server = sendstep::plugin::Server::Start(*command_line.config);
  if (!server.ok()) {
    Log(Level::kError, "start_failed", {{"detail", std::string(server.status().message())}});
    return kFailed;
  }
  std::cout << "listening " << (*server)->address() << std::endl;

  WaitForSignal();
  std::thread([] {
    WaitForSignal();
    ::_exit(kFailed);
  }).detach();
  (*server)->Stop(command_line.config->drain_timeout);
  Log(Level::kInfo, "stopped");
  return 0;
}
