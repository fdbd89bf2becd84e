#include "providers/doctor/receiver_replies.h"

#include <re2/re2.h>

#include "providers/pattern.h"

namespace sendstep::doctor {
namespace {

constexpr char kGmailRules[] = "https://support.google.com/mail/answer/81126";
constexpr char kYahooCodes[] = "https://postmaster.yahooinc.com/error-codes";

constexpr ReceiverReply kReplies[] = {
    // Gmail. source: github.com/sisimai/rb-sisimai lib/sisimai/rhost/google.rb (Google's own texts)
    {"Gmail", "[45]\\.7\\.26\\b",
     "550 5.7.26 This mail has been blocked because the sender is unauthenticated. Gmail requires "
     "all senders to authenticate with either SPF or DKIM.",
     Side::kDomain,
     "Neither SPF nor DKIM passed, or the domain's DMARC policy asks to refuse what does not pass.",
     "Set up DKIM with your provider for the From domain; sendstep doctor says which records are "
     "missing.",
     kGmailRules},
    {"Gmail", "[45]\\.7\\.27\\b",
     "550 5.7.27 The sending domain's SPF check did not pass: Gmail requires it for bulk senders.",
     Side::kDomain, "SPF did not pass for the envelope sender's domain.",
     "Let the SPF record include your provider; sendstep doctor writes it.", kGmailRules},
    {"Gmail", "[45]\\.7\\.30\\b", "550 5.7.30 DKIM authentication did not pass for this message.",
     Side::kDomain, "No DKIM signature passed.",
     "Set up DKIM with your provider for the From domain; sendstep doctor says which records are "
     "missing.",
     kGmailRules},
    {"Gmail", "[45]\\.7\\.32\\b",
     "421 4.7.32 The From: header of this message isn't aligned with SPF or DKIM.", Side::kDomain,
     "What passed does not align with the domain of the From address.",
     "Have your provider sign with a key of the From domain.", kGmailRules},
    {"Gmail", "5\\.7\\.40\\b|4\\.7\\.31\\b",
     "550 5.7.40 The sending domain doesn't have a DMARC record.", Side::kDomain,
     "The From domain has no DMARC record, which Gmail wants of those who send much.",
     "Publish one with p=none to begin with; sendstep doctor writes it.", kGmailRules},
    {"Gmail", "[45]\\.7\\.24\\b",
     "550 5.7.24 The SPF record of the sending domain has one or more suspicious entries.",
     Side::kDomain, "The SPF record lets too many hosts send.",
     "Let the SPF record name those who send for you only, and end in ~all or -all.", kGmailRules},
    {"Gmail", "[45]\\.7\\.(25|23)\\b.*\\b(PTR|IP)\\b",
     "550 5.7.25 The IP address sending this message does not have a PTR record setup.",
     Side::kReputation, "The sending address has no name that leads back to it.",
     "It is your provider's: send through another one, or let the address have a PTR record.",
     kGmailRules},
    {"Gmail", "[45]\\.7\\.28\\b|unusual rate of unsolicited",
     "421 4.7.28 Our system has detected an unusual rate of unsolicited mail.", Side::kReputation,
     "Gmail holds mail back because much of what comes from this sender or address is unwanted.",
     "Send less, to people who asked for it, and let them unsubscribe by one click.", kGmailRules},
    // source: Google's text as many bounces have it
    {"Gmail", "likely unsolicited mail|message is likely suspicious",
     "550 5.7.1 Our system has detected that this message is likely unsolicited mail. To reduce "
     "the "
     "amount of spam sent to Gmail, this message has been blocked.",
     Side::kMessage, "Gmail takes the message for spam.",
     "Set up SPF, DKIM and DMARC, and look at the content: links, wording, who gets it.",
     kGmailRules},
    {"Gmail", "not RFC.{0,20}5322",
     "550 5.7.1 Our system has detected that this message is not RFC 5322 compliant: 'From' header "
     "is "
     "missing.",
     Side::kMessage, "A header of the message is missing, malformed or doubled.",
     "Send it without headers of your own, and tell the operator of sendstep.", ""},
    {"Gmail", "account that you tried to reach (does not exist|is disabled|is inactive)",
     "550 5.1.1 The email account that you tried to reach does not exist.", Side::kRecipient,
     "There is no such mailbox at Gmail, or it is disabled.",
     "Check the address with the recipient.", "https://support.google.com/mail/?p=NoSuchUser"},
    {"Gmail", "inbox is out of storage|out of storage space",
     "452 4.2.2 The recipient's inbox is out of storage space.", Side::kRecipient,
     "The recipient's mailbox is full.", "Reach the recipient in another way.", ""},

    // Microsoft. source: support.microsoft.com, "Fix NDR error 550 5.7.515"
    {"Outlook.com", "5\\.7\\.515\\b|does not meet the required authentication level",
     "550 5.7.515 Access denied, sending domain example.com does not meet the required "
     "authentication level.",
     Side::kDomain,
     "Outlook.com wants SPF and DKIM to pass and DMARC to align from those who send 5,000 emails a "
     "day or more.",
     "Publish the records that sendstep doctor writes for the From domain.", ""},
    // source: bounces and Microsoft's documentation of delisting
    {"Outlook.com", "network is on our block list|\\(S31[45]0\\)",
     "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your "
     "Internet "
     "service provider since part of their network is on our block list (S3150).",
     Side::kReputation, "Microsoft refuses the address that the provider sent from.",
     "It is your provider's address: report it to the provider, or ask for one of your own.", ""},
    {"Microsoft 365", "5\\.7\\.60[0-9]\\b|banned sending IP",
     "550 5.7.606 Access denied, banned sending IP [192.0.2.1].", Side::kReputation,
     "Microsoft refuses the address that the provider sent from.",
     "It is your provider's address: report it to the provider, which can ask for its removal.",
     ""},
    {"Microsoft 365", "5\\.4\\.1\\b.*recipient address rejected",
     "550 5.4.1 Recipient address rejected: Access denied.", Side::kRecipient,
     "There is no such mailbox at this Microsoft 365 organization.",
     "Check the address with the recipient.", ""},
    {"Microsoft 365", "5\\.1\\.10\\b", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found",
     Side::kRecipient, "There is no such mailbox at this Microsoft 365 organization.",
     "Check the address with the recipient.", ""},

    // Yahoo. source: postmaster.yahooinc.com/error-codes, as github.com/sisimai quotes it
    {"Yahoo", "\\[TSS?\\d+\\]|temporarily deferred due to unexpected volume",
     "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or "
     "user "
     "complaints",
     Side::kReputation, "Yahoo puts off mail of this address: too much at once, or complaints.",
     "Wait: the provider tries again. Send less, to people who asked for it.", kYahooCodes},
    {"Yahoo", "not accepted for policy reasons",
     "554 5.7.9 Message not accepted for policy reasons.", Side::kDomain,
     "Yahoo refuses the message: its content, or the From domain's DMARC policy.",
     "Check the domain with sendstep doctor, then links and content.", kYahooCodes},

    // Anybody's.
    {"", "dmarc", "550 5.7.1 Email rejected per DMARC policy for example.com", Side::kDomain,
     "The From domain's DMARC policy asks receivers to refuse mail that does not pass, and this "
     "did "
     "not.",
     "Check the domain with sendstep doctor; most often DKIM is not set up with the provider.", ""},
    {"", "\\bspf\\b", "550 5.7.23 SPF check failed: example.com does not designate 192.0.2.1",
     Side::kDomain, "SPF did not pass.",
     "Let the SPF record of the envelope sender's domain include your provider.", ""},
    {"", "\\bdkim\\b", "550 5.7.20 No valid DKIM signature found", Side::kDomain,
     "No DKIM signature passed.", "Set up DKIM with your provider for the From domain.", ""},
    // source: Postfix's text for DNS block lists, with the list's name
    {"",
     "blocked using|\\bspamhaus\\b|\\b(rbl|dnsbl|barracuda|spamcop|sorbs)\\b|block ?list|"
     "black ?list",
     "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
     Side::kReputation, "The address that the provider sent from is on a block list.",
     "It is your provider's address: report it to the provider.", ""},
    {"", "gr[ea]y[- ]?list|try again later.*(first|unknown) ",
     "450 4.2.0 Greylisted, see http://postgrey.example/help", Side::kReceiver,
     "The receiver puts off senders that it does not know yet.", "Wait: the provider tries again.",
     ""},
    {"", "\\bspam\\b|\\bunsolicited\\b|\\bbulk\\b.*(reject|refus|block)",
     "550 5.7.1 Message rejected as spam by content filtering", Side::kMessage,
     "The receiver takes the message for spam.",
     "Set up SPF, DKIM and DMARC, and look at the content: links, wording, who gets it.", ""},
    {"", "\\bvirus\\b|malware|infected", "554 5.7.1 Message contains a virus", Side::kMessage,
     "The receiver found something harmful in the message.",
     "Send a link in place of the attachment.", ""},
    {"", "quota|mailbox (is )?full|over ?quota|out of (disk|storage)|\\b[45]\\.2\\.2\\b",
     "552 5.2.2 Mailbox full", Side::kRecipient, "The recipient's mailbox is full.",
     "Reach the recipient in another way.", ""},
    {"",
     "\\b5\\.1\\.[16]\\b|(user|recipient|mailbox|account).{0,30}(unknown|not found|not exist|"
     "unavailable)|no such (user|recipient|mailbox|person)|does not exist",
     "550 5.1.1 <nobody@example.com>: Recipient address rejected: User unknown", Side::kRecipient,
     "There is no such mailbox.", "Check the address with the recipient.", ""},
    {"", "\\b5\\.[23]\\.[34]\\b|too (large|big)|size limit|exceeds.*size",
     "552 5.3.4 Message size exceeds fixed limit", Side::kMessage,
     "The message is larger than the receiver takes.", "Send a link in place of the attachment.",
     ""},
};

}  // namespace

std::string SideName(Side side) {
  switch (side) {
    case Side::kDomain:
      return "the sender's domain";
    case Side::kRecipient:
      return "the recipient";
    case Side::kMessage:
      return "the message";
    case Side::kReputation:
      return "the sending address or rate";
    case Side::kAccount:
      return "the provider account";
    case Side::kReceiver:
      return "the receiver";
  }
  return "";
}

std::span<const ReceiverReply> ReceiverReplies() { return kReplies; }

const ReceiverReply* FindReceiverReply(const std::string& reply) {
  for (const ReceiverReply& known : kReplies) {
    if (re2::RE2::PartialMatch(reply, providers::CachedPattern(known.pattern))) return &known;
  }
  return nullptr;
}

}  // namespace sendstep::doctor
