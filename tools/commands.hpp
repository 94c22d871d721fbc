// The makers of all commands, one a file.
#pragma once

#include <memory>

#include "command.hpp"

namespace smoothcert::cli {

std::unique_ptr<Command> make_attack_command();
std::unique_ptr<Command> make_bench_command();
std::unique_ptr<Command> make_certify_command();
std::unique_ptr<Command> make_compare_command();
std::unique_ptr<Command> make_completion_command();
std::unique_ptr<Command> make_convert_command();
std::unique_ptr<Command> make_data_command();
std::unique_ptr<Command> make_disprove_command();
std::unique_ptr<Command> make_export_command();
std::unique_ptr<Command> make_import_command();
std::unique_ptr<Command> make_info_command();
std::unique_ptr<Command> make_merge_command();
std::unique_ptr<Command> make_predict_command();
std::unique_ptr<Command> make_radius_command();
std::unique_ptr<Command> make_recompute_command();
std::unique_ptr<Command> make_report_command();
std::unique_ptr<Command> make_status_command();
std::unique_ptr<Command> make_sweep_command();
std::unique_ptr<Command> make_train_command();
std::unique_ptr<Command> make_verify_command();

}  // namespace smoothcert::cli
