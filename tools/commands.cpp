// The makers of all commands, one a file.
#include "commands.hpp"

namespace smoothcert::cli {

const std::vector<CommandEntry>& command_entries() {
  static const std::vector<CommandEntry> entries = {
      {"compare", "The whole comparison", "Train three ways, attack, certify, and write a report",
       "Examples:\n"
       "  smoothcert compare                           MNIST, into smoothcert-report/\n"
       "  smoothcert compare --images 500 --out quick  certify 500 evenly spaced images\n"
       "  smoothcert compare --images all --n 100000 --alpha 0.001 --out long\n"
       "  smoothcert compare --data digits             without MNIST: digits drawn by the program\n"
       "The same command continues what was interrupted.\n",
       make_compare_command},
      {"report", "The whole comparison",
       "Write the report of a comparison or a store, or its tables",
       "Examples:\n"
       "  smoothcert report                                  the report of smoothcert-report/\n"
       "  smoothcert report long --tables latex > table.tex  its tables for a paper\n"
       "  smoothcert report sweep.sqlite                     all runs of a sweep, into "
       "sweep-report/\n"
       "  smoothcert report sweep.sqlite --peer macer.tsv    with a peer's results beside them\n",
       make_report_command},
      {"train", "Step by step", "Train one model by a recipe",
       "Examples:\n"
       "  smoothcert train smoothing --out smoothing.safetensors\n"
       "  smoothcert train smoothing --sigma 0.5 --epochs 3 --seed 7\n"
       "  smoothcert train lenet-gaussian --sigma 0.25 --out lenet.safetensors\n",
       make_train_command},
      {"attack", "Step by step", "Accuracy of a model under gradient attacks",
       "Examples:\n"
       "  smoothcert attack smoothing.safetensors\n"
       "  smoothcert attack normal.safetensors --attack pgd-l2 --epsilon 2 --steps 50\n",
       make_attack_command},
      {"certify", "Step by step", "Certify a model's predictions (CERTIFY of Cohen et al.)",
       "Examples:\n"
       "  smoothcert certify smoothing.safetensors --skip 10\n"
       "  smoothcert certify lenet.safetensors --sigma 0.5 --n0 100 --n 100000 --alpha 0.001\n"
       "  smoothcert certify lenet.safetensors --shard 2/4 --store part2.sqlite\n"
       "The same command continues what was interrupted.\n",
       make_certify_command},
      {"predict", "Step by step", "The smoothed classifier's answers (PREDICT of Cohen et al.)",
       "Examples:\n"
       "  smoothcert predict smoothing.safetensors --max 100\n"
       "  smoothcert predict smoothing.safetensors --n 10k --alpha 0.001 --tsv predictions.tsv\n",
       make_predict_command},
      {"convert", "Step by step", "A PyTorch checkpoint as a model file of ours",
       "Examples:\n"
       "  smoothcert convert net.pth.tar --network lenet --sigma 0.5 --out net.safetensors\n"
       "  smoothcert convert net.pt --network net.json --out net.safetensors\n"
       "Nothing in a checkpoint is executed. docs/network-format.md describes networks.\n",
       make_convert_command},
      {"sweep", "At scale", "Certify models × σ × n × α × seeds into one store",
       "Examples:\n"
       "  smoothcert sweep sweep.json --plan           what it would do, and how long it would "
       "take\n"
       "  smoothcert sweep sweep.json\n"
       "  mpirun -n 4 smoothcert sweep sweep.json      on four GPUs, or four machines\n"
       "  smoothcert sweep sweep.json --shard 2/4      the second of four, without MPI\n"
       "  smoothcert sweep sweep.json --plan --slurm > sweep.sh; sbatch sweep.sh\n"
       "The file is described in docs/sweep.md. The same command continues what was interrupted,\n"
       "or killed.\n",
       make_sweep_command},
      {"status", "At scale", "How far a running sweep is, shard by shard",
       "Examples:\n"
       "  smoothcert status sweep.sqlite\n"
       "  smoothcert status sweep.*-of-4.sqlite      every shard, and all of them together\n",
       make_status_command},
      {"merge", "At scale", "Join the stores of the shards of a sweep",
       "Examples:\n"
       "  smoothcert merge sweep.1-of-2.sqlite sweep.2-of-2.sqlite --out sweep.sqlite\n"
       "  smoothcert merge part*.sqlite --allow-gaps --out so-far.sqlite\n",
       make_merge_command},
      {"recompute", "At scale", "Every run of a store at another α, without drawing again",
       "Examples:\n"
       "  smoothcert recompute sweep.sqlite --alpha 0.001\n",
       make_recompute_command},
      {"export", "Results", "Runs of a results store, as the field's TSV or as CSV",
       "Examples:\n"
       "  smoothcert export smoothcert-report               list its runs\n"
       "  smoothcert export smoothcert-report --run 3 --tsv smoothing.tsv\n"
       "  smoothcert export results.sqlite --run 1 --alpha 0.001\n"
       "  smoothcert export sweep.sqlite --out tsv          one file a run\n"
       "  smoothcert export sweep.sqlite --out csv --format csv\n",
       make_export_command},
      {"verify", "Results", "Check every row of a store; draw a sample of its images again",
       "Examples:\n"
       "  smoothcert verify results.sqlite             keys, counts, checksums, radii\n"
       "  smoothcert verify results.sqlite --remove    and take out what fails, to be drawn again\n"
       "  smoothcert verify results.sqlite --redraw 5 --model lenet.safetensors\n",
       make_verify_command},
      {"radius", "Results", "Votes in, certificates out: no model, nothing drawn",
       "Examples:\n"
       "  smoothcert radius votes.tsv --sigma 0.5            columns k and n, one row an image\n"
       "  smoothcert radius votes.tsv --sigma 0.5 --p-b counted     with a column 'second'\n"
       "  smoothcert radius counts.tsv --sigma 0.25 --alpha 0.01    'counts' [3,0,997], "
       "'selected'\n",
       make_radius_command},
      {"disprove", "Results", "How tight certificates are: the nearest points with another answer",
       "Examples:\n"
       "  smoothcert disprove lenet.safetensors --store results.sqlite --max 50\n"
       "  smoothcert report results.sqlite             brackets every radius\n"
       "A point is tested once on fresh samples, and kept beside the certificates.\n",
       make_disprove_command},
      {"import", "Results", "Other people's TSV files, to plot beside ours",
       "Examples:\n"
       "  smoothcert import cohen/noise_0.50.tsv --name 'Cohen et al.' --store sweep.sqlite\n"
       "  smoothcert report sweep.sqlite\n",
       make_import_command},
      {"data", "Look", "Data sets: list, find and describe, fetch",
       "Examples:\n"
       "  smoothcert data                       the names, and where the cache is\n"
       "  smoothcert data show mnist            find it, check it, count its classes\n"
       "  smoothcert data fetch fashion-mnist   download into the cache\n",
       make_data_command},
      {"bench", "Look", "How fast a model is certified and attacked on this machine",
       "Examples:\n"
       "  smoothcert bench                              the study's network, every path\n"
       "  smoothcert bench my.safetensors --sigma 0.5   a model of yours\n"
       "  smoothcert bench lenet --mode exact --noise lattice --attack none --json\n"
       "  smoothcert bench convnn --device cpu --threads 1 --seconds 3 --repeats 9\n",
       make_bench_command},
      {"info", "Look", "This machine, its devices, versions, built-in names",
       "Examples:\n"
       "  smoothcert info            what --device auto would choose, and why\n"
       "  smoothcert info --json     the same for a script\n",
       make_info_command},
      {"completion", "Look", "Completion for a shell, or the manual page",
       "Examples:\n"
       "  smoothcert completion bash                  source <(smoothcert completion bash)\n"
       "  smoothcert completion zsh > _smoothcert     in a folder of $fpath\n"
       "  smoothcert completion fish > ~/.config/fish/completions/smoothcert.fish\n"
       "  smoothcert completion man | man -l -        the manual page\n",
       make_completion_command},
  };
  return entries;
}

}  // namespace smoothcert::cli
