// Failpoint() of the crash tests' own server, in place of the one that does nothing. Once, at the
// first call, it reads SENDSTEP_FAILPOINT="NAME[:N[:stop]]"; at the N-th time (1) the process comes
// by NAME it kills itself, or stops itself until SIGCONT.
#include "transport/base/failpoint.h"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string>

namespace sendstep::base {
namespace {

struct Setting {
  std::string name;
  int hit = 1;
  bool stop = false;
};

Setting Read() {
  Setting setting;
  const char* text = std::getenv("SENDSTEP_FAILPOINT");
  if (text == nullptr) return setting;
  const std::string all = text;
  const size_t colon = all.find(':');
  setting.name = all.substr(0, colon);
  if (colon != all.npos) setting.hit = std::max(1, std::atoi(all.c_str() + colon + 1));
  setting.stop = all.ends_with(":stop");
  return setting;
}

}  // namespace

void Failpoint(std::string_view name) {
  static const Setting setting = Read();
  static std::atomic<int> hits{0};
  if (setting.name.empty() || name != setting.name) return;
  // To this thread: of a signal to the process another thread might take notice, and this one goes
  // on until that one runs.
  if (hits.fetch_add(1) + 1 == setting.hit) ::raise(setting.stop ? SIGSTOP : SIGKILL);
}

}  // namespace sendstep::base
