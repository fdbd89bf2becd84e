// The DNS questions of one diagnosis: each asked once, all within one budget.
#ifndef SENDSTEP_TRANSPORT_DNS_INQUIRY_H_
#define SENDSTEP_TRANSPORT_DNS_INQUIRY_H_

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <memory>
#include <string>

#include "transport/base/deadline.h"
#include "transport/dns/lookup.h"

namespace sendstep::dns {

// The domain is user input, so a diagnosis may cost no more than this.
struct Budget {
  size_t queries = 40;
  size_t bytes = 256 * 1024;  // of the records that came, roughly as on the wire
  base::Deadline deadline = base::Deadline::Never();
};

// Lives on one strand (`executor`): every call comes from a coroutine of it. Keep it until every
// Ask() has returned; questions still under way at its end are left alone and go unheard.
class Inquiry {
 public:
  // `lookup` outlives the inquiry and what it has begun.
  Inquiry(const boost::asio::any_io_executor& executor, Lookup& lookup, const Budget& budget);
  ~Inquiry();
  Inquiry(const Inquiry&) = delete;
  Inquiry& operator=(const Inquiry&) = delete;

  // Asks without waiting, so that a later Ask() of the same finds its answer on the way: this is
  // how lookups run side by side while the code that needs them reads top to bottom.
  void Begin(const std::string& name, RecordType type);

  // The answer, also where it was asked for before; names are compared without case and last dot.
  // Past the budget: kBudgetSpent, which `detail` explains; so is an answer that would pass its
  // bytes. A question under way at the deadline is kTimeout. Cancelled: kFailed; the question goes
  // on for others.
  boost::asio::awaitable<Answer> Ask(std::string name, RecordType type);

  size_t queries() const;  // put to the lookup so far; what CNAMEs cost it is not counted
  size_t bytes() const;
  bool spent() const;  // a question was not asked, or its answer dropped, for want of budget

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace sendstep::dns

#endif  // SENDSTEP_TRANSPORT_DNS_INQUIRY_H_
