#include "providers/doctor/diagnose.h"

#include <boost/asio/this_coro.hpp>
#include <utility>

#include "providers/doctor/findings.h"
#include "providers/doctor/fixes.h"
#include "providers/doctor/gather.h"
#include "providers/doctor/judge.h"

namespace sendstep::doctor {

boost::asio::awaitable<Diagnosis> Diagnose(dns::Inquiry& inquiry, Question question) {
  co_await boost::asio::this_coro::throw_if_cancelled(false);
  Diagnosis diagnosis;
  diagnosis.facts = co_await Gather(inquiry, std::move(question));
  diagnosis.verdict = Judge(diagnosis.facts);
  diagnosis.findings = FindingsOf(diagnosis.facts, diagnosis.verdict);
  diagnosis.fixes = FixesFor(diagnosis.facts, diagnosis.verdict);
  co_return diagnosis;
}

}  // namespace sendstep::doctor
