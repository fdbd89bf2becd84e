// The OAuth tokens of one account: fetched when one is needed, kept until shortly before they
// expire, by one fetch at a time.
//
// A fetch outlives the call that began it: whoever needs a token waits for it, each until its own
// deadline. A failed fetch stands for a while, 1 s at first and doubling to 60 s, so that an
// endpoint in trouble is not hammered.
//
// Threads: thread-safe; a call resumes on its caller's executor, which must be a strand.
#ifndef SENDSTEP_PLUGIN_TOKEN_SOURCE_H_
#define SENDSTEP_PLUGIN_TOKEN_SOURCE_H_

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/strand.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "plugin/oauth2.h"
#include "transport/base/deadline.h"
#include "transport/base/result.h"
#include "transport/net/wakeup.h"
#include "transport/smtp/observer.h"
#include "transport/smtp/settings.h"

namespace sendstep::plugin {

class TokenSource : public std::enable_shared_from_this<TokenSource> {
 public:
  // Ends at the deadline, or when it is cancelled.
  using Fetch = std::function<boost::asio::awaitable<base::Result<AccessToken>>(base::Deadline)>;
  using Now = std::function<base::Clock::time_point()>;

  // Fetches run on a strand of `executor`. What `fetch` and `now` refer to outlives its threads.
  // Held by shared pointers only.
  TokenSource(const boost::asio::any_io_executor& executor, Fetch fetch, Now now = base::Clock::now)
      : strand_(boost::asio::make_strand(executor)),
        fetch_(std::move(fetch)),
        now_(std::move(now)) {}
  TokenSource(const TokenSource&) = delete;
  TokenSource& operator=(const TokenSource&) = delete;

  // A fetch takes at most 10 s; a token that has not expired serves where it fails. Errors: those
  // of the fetch; TokenNotFetched() as transient when the deadline passes; kCancelled; kStopped.
  boost::asio::awaitable<base::Result<base::Secret>> Token(base::Deadline deadline);

  // The SMTP server took `token` for none: it is dropped, once a minute at most. True: Token() has
  // another one to try.
  bool Refused(const base::Secret& token);

  // Breaks a fetch off; every Token() from now on fails.
  void Stop();

 private:
  static boost::asio::awaitable<void> RunFetch(std::shared_ptr<TokenSource> self);
  // Under the lock. The token where it has not expired, else `error`.
  base::Result<base::Secret> Left(base::Clock::time_point now, const base::Error& error) const;
  // Under the lock.
  void End(const base::Result<AccessToken>& fetched, base::Clock::time_point asked_at);

  const boost::asio::strand<boost::asio::any_io_executor> strand_;
  const Fetch fetch_;
  const Now now_;

  boost::asio::cancellation_signal cancel_;  // of the fetch; on the strand

  std::mutex mutex_;
  bool stopped_ = false;
  base::Secret token_;  // empty: none
  base::Clock::time_point good_until_;
  base::Clock::time_point expires_at_;  // used until then where no other can be fetched
  std::optional<base::Clock::time_point> dropped_at_;
  std::optional<base::Error> failure_;
  base::Clock::time_point failure_stands_until_;
  base::Clock::duration pause_{0};
  bool fetching_ = false;
  std::vector<std::weak_ptr<net::Wakeup>> waiters_;
};

// `act(settings)`, which logs in with what `settings` say; with a token of `tokens` in them unless
// that is null. Where the server refuses the token (535, before anything is sent) another is
// fetched and `act` is tried once more. A cancelled `act` has to fail. `settings` and what `act`
// and `observer` refer to outlive the call.
template <class Act>
std::invoke_result_t<Act, const smtp::SmtpSettings&> WithToken(TokenSource* tokens,
                                                               const smtp::SmtpSettings& settings,
                                                               base::Deadline deadline,
                                                               smtp::Observer& observer, Act act) {
  constexpr int kRefused = 535;
  if (tokens == nullptr || !settings.credentials) co_return co_await act(settings);
  smtp::SmtpSettings with_token = settings;
  for (bool again = false;; again = true) {
    base::Result<base::Secret> token = co_await tokens->Token(deadline);
    // Cancelled, `act` begins nothing and says whether the caller or a stop is the reason.
    if (!token && token.error().cause == base::Cause::kCancelled) co_return co_await act(settings);
    if (!token) {
      observer.StageStarted(base::Stage::kAuth);
      observer.Failed(token.error());
      co_return token.error();
    }
    with_token.credentials->oauth2_token = *token;
    auto outcome = co_await act(with_token);
    const bool refused = !outcome && outcome.error().stage == base::Stage::kAuth &&
                         outcome.error().reply && outcome.error().reply->code == kRefused;
    if (!refused || again || !tokens->Refused(*token)) co_return outcome;
  }
}

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_TOKEN_SOURCE_H_
