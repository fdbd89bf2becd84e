// Delivery status notifications (RFC 3464): what became of a message after a server had taken it.
#ifndef SENDSTEP_TRANSPORT_MAILAUTH_DELIVERY_STATUS_H_
#define SENDSTEP_TRANSPORT_MAILAUTH_DELIVERY_STATUS_H_

#include <string>
#include <string_view>
#include <vector>

namespace sendstep::mailauth {

struct RecipientStatus {
  std::string recipient;   // Final-Recipient, else Original-Recipient; without its type
  std::string action;      // "failed", "delayed", "delivered", "relayed", "expanded"; lower case
  std::string status;      // "5.1.1"
  std::string remote_mta;  // who said so; may be empty
  std::string diagnostic;  // its reply: "550 5.1.1 ..."; may be empty
};

struct DeliveryStatus {
  std::string reporting_mta;
  std::vector<RecipientStatus> recipients;
};

// `body`: of a message/delivery-status part, decoded; at most 256 kB of it and 1,000 recipients are
// read. Recipients without an action and a status are left out.
DeliveryStatus ParseDeliveryStatus(std::string_view body);

// What an enhanced status code says (RFC 3463 and the registry of RFC 5248), as a phrase: "there is
// no such mailbox". Of a code that is not known what its class and subject say; never empty.
std::string StatusMeaning(std::string_view status);

}  // namespace sendstep::mailauth

#endif  // SENDSTEP_TRANSPORT_MAILAUTH_DELIVERY_STATUS_H_
