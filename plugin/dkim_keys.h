// The DKIM keys of relays, each parsed once: that takes OpenSSL longer than to sign with it.
#ifndef SENDSTEP_PLUGIN_DKIM_KEYS_H_
#define SENDSTEP_PLUGIN_DKIM_KEYS_H_

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "transport/base/result.h"
#include "transport/base/secret.h"
#include "transport/mime/dkim_key.h"

namespace sendstep::plugin {

// Threads: thread-safe.
class DkimKeys {
 public:
  // As DkimKey::Load. The key is kept until another `pem` comes for this domain and selector.
  base::Result<mime::DkimKey> Load(const std::string& domain, const std::string& selector,
                                   const base::Secret& pem);

 private:
  struct Known {
    base::Secret pem;
    mime::DkimKey key;
  };
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, Known> known_;  // by domain and selector
};

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_DKIM_KEYS_H_
