// The report's style sheet.
#pragma once

#include <string>

namespace smoothcert::report {

std::string page_css();

}  // namespace smoothcert::report
