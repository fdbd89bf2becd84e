// Result<T>: a T or the Error that kept it from coming about.
#ifndef SENDSTEP_TRANSPORT_BASE_RESULT_H_
#define SENDSTEP_TRANSPORT_BASE_RESULT_H_

#include <boost/assert/source_location.hpp>
#include <boost/system/result.hpp>

#include "transport/base/error.h"

namespace sendstep::base {

template <class T>
using Result = boost::system::result<T, Error>;

// value() of a Result that holds an Error is a bug of the caller: std::logic_error.
[[noreturn]] void throw_exception_from_error(const Error& error,
                                             const boost::source_location& where);

}  // namespace sendstep::base

#endif  // SENDSTEP_TRANSPORT_BASE_RESULT_H_
