// The local time of the C library, which takes every form of TZ.
#include <ctime>

#include "calls.h"

namespace tardis::calls {

napi_value localOffset(const Call& call) {
  constexpr int64_t kDaysBefore1970 = 719162;  // since the first day of the year 1
  const time_t at = call.integer(0);
  struct tm local;
  if (localtime_r(&at, &local) == nullptr) throw Failure{errno, "localtime_r"};
  const int64_t years = int64_t{local.tm_year} + 1899;
  if (years < 0) return call.number(static_cast<double>(local.tm_gmtoff));
  // From the date and time, since the difference that `local` names lacks the leap seconds of some zones.
  const int64_t days = years * 365 + years / 4 - years / 100 + years / 400 + local.tm_yday - kDaysBefore1970;
  const int64_t seconds = days * 86400 + local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec;
  return call.number(static_cast<double>(seconds - at));
}

}  // namespace tardis::calls
