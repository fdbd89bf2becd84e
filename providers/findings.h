// Collects findings; private to the resolver.
#ifndef SENDSTEP_PROVIDERS_FINDINGS_H_
#define SENDSTEP_PROVIDERS_FINDINGS_H_

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "providers/finding.h"

namespace sendstep::providers {

class Findings {
 public:
  void Error(std::string field, std::string reason, std::string message, std::string hint = {}) {
    list_.push_back({Severity::kError, std::move(field), std::move(reason), std::move(message),
                     std::move(hint), ""});
  }

  void Warn(std::string field, std::string message, std::string hint = {}) {
    list_.push_back(
        {Severity::kWarning, std::move(field), "WARNING", std::move(message), std::move(hint), ""});
  }

  // Errors first, each with the provider's page `doc_url`.
  std::vector<Finding> Take(const std::string& doc_url) {
    for (Finding& finding : list_) finding.doc_url = doc_url;
    std::stable_partition(list_.begin(), list_.end(),
                          [](const Finding& f) { return f.severity == Severity::kError; });
    return std::move(list_);
  }

 private:
  std::vector<Finding> list_;
};

}  // namespace sendstep::providers

#endif  // SENDSTEP_PROVIDERS_FINDINGS_H_
