// A session with the server of an account.
#ifndef SENDSTEP_PLUGIN_WITH_SERVER_H_
#define SENDSTEP_PLUGIN_WITH_SERVER_H_

#include <type_traits>

#include "plugin/command.h"
#include "plugin/token_source.h"

namespace sendstep::plugin {

// As WithToken, with the account's settings and tokens; fails at once where DNS led to no server.
template <class Act>
std::invoke_result_t<Act, const smtp::SmtpSettings&> WithServer(const Account& account,
                                                                base::Deadline deadline,
                                                                smtp::Observer& observer, Act act) {
  if (account.not_discovered) {
    observer.StageStarted(account.not_discovered->stage);
    observer.Failed(*account.not_discovered);
    co_return *account.not_discovered;
  }
  co_return co_await WithToken(account.tokens, account.resolved.settings, deadline, observer, act);
}

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_WITH_SERVER_H_
