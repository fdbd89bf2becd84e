#include "plugin/dkim_keys.h"

namespace sendstep::plugin {

base::Result<mime::DkimKey> DkimKeys::Load(const std::string& domain, const std::string& selector,
                                           const base::Secret& pem) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::pair name(domain, selector);
  const auto known = known_.find(name);
  if (known != known_.end() && known->second.pem.Reveal() == pem.Reveal()) return known->second.key;
  auto key = mime::DkimKey::Load(domain, selector, pem);
  if (key) known_.insert_or_assign(name, Known{pem, *key});
  return key;
}

}  // namespace sendstep::plugin
