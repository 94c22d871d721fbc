// sweep.json, and the plan made from it.
#include "fuzz.hpp"
#include "smoothcert/sweep_file.hpp"
#include "smoothcert/sweep_plan.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace smoothcert;
  fuzz::expect_error_or_success([&] {
    const SweepSpec spec = parse_sweep(fuzz::text_of({data, size}), "folder", "FILE");
    const SweepPlan plan = plan_sweep(spec, 1000);
    fuzz::require(plan.indices.size() <= 1000);
  });
  return 0;
}
