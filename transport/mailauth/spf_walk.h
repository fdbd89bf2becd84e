// What a domain's SPF record reaches, without knowing the sending address: the tree of its includes
// and redirects, what each branch costs, and what is wrong with it (RFC 7208).
#ifndef SENDSTEP_TRANSPORT_MAILAUTH_SPF_WALK_H_
#define SENDSTEP_TRANSPORT_MAILAUTH_SPF_WALK_H_

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "transport/dns/inquiry.h"
#include "transport/mailauth/problem.h"
#include "transport/mailauth/spf_macro.h"

namespace sendstep::mailauth {

// One record of the tree.
struct SpfNode {
  std::string domain;  // lower case; of a term that cannot be followed as the term has it
  std::string via;  // the term that leads here, as written: "include:_spf.example.com"; root: empty
  std::string record;            // as published; empty: there is none, or it was not asked for
  std::vector<SpfFault> faults;  // of `record`, for PointAt()
  size_t lookups = 0;            // terms that cost a lookup, of this record and of all below it
  // Terms that cost a lookup up to and with `via`, for a host that no term before it matches: over
  // 10, receivers do not get here.
  size_t spent = 0;
  std::vector<SpfNode> children;  // includes and redirect, in order
  // The term stands behind an `all`, or is a redirect beside one: receivers never get here, and it
  // was not followed.
  bool dead = false;
  bool broken = false;  // receivers end in a permerror here: no record, several, errors, a loop
};

struct SpfWalk {
  SpfNode root;        // of the domain that was asked about
  size_t lookups = 0;  // root.lookups: at most 10 are allowed
  // Of A, AAAA and MX: names that have neither kind of address, or no MX, as far as receivers get
  // within 10 lookups; at most 2 are allowed. A receiver asks for one kind of address only, so that
  // for some hosts there are more.
  size_t void_lookups = 0;
  bool found = false;       // the domain has exactly one SPF record that parses
  bool determined = false;  // every question of the walk was answered
  // Of the domain and of what it includes; `id` and what it is about:
  //   spf.missing, spf.several, spf.syntax        the domain's own record, or one that it reaches
  //   spf.include_without_record, spf.loop        includes and redirects
  //   spf.too_many_lookups, spf.too_many_voids, spf.too_many_mx   limits of RFC 7208 4.6.4
  //   spf.dead_terms, spf.redirect_ignored        what stands behind or beside an `all`
  //   spf.all_pass, spf.no_all, spf.neutral_all   what becomes of all other hosts
  //   spf.ptr, spf.too_long, spf.ignored_modifier, spf.sender_id
  //   spf.undetermined                            questions without an answer
  std::vector<Problem> problems;
};

// Asks for records of a kind side by side. Terms with macros other than %{d} and %{o} cannot be
// followed; they count as a lookup. Follows 100 records at most.
boost::asio::awaitable<SpfWalk> WalkSpf(dns::Inquiry& inquiry, std::string domain);

// Mail that `include` allows is allowed by the domain as well: receivers get to it within the
// limits, by includes and redirects of which none is negated, or it is the domain itself.
bool ReachesSpf(const SpfWalk& walk, std::string_view include);

// `record` with `include` added where it works: before its `all` or redirect. It stays as it is
// where it includes it already. Of an empty record, or one that is not SPF, a new one that ends in
// ~all. Always one record; what is wrong with it otherwise stays wrong.
std::string WithInclude(std::string_view record, std::string_view include);

}  // namespace sendstep::mailauth

#endif  // SENDSTEP_TRANSPORT_MAILAUTH_SPF_WALK_H_
