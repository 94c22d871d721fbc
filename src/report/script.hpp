// The report's script.
#pragma once

#include <string_view>

namespace smoothcert::report {

/// Shows the values of charts with a Reader: under the pointer, and by keyboard or touch with a
/// slider beneath the plot. The page says everything without it.
std::string_view page_script();

}  // namespace smoothcert::report
