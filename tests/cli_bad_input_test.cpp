// Whatever is wrong: one line that says what, the right exit code, nothing lost.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli_support.hpp"
#include "data_support.hpp"
#include "places_support.hpp"
#include "smoothcert/network.hpp"
#include "smoothcert/network_file.hpp"

namespace smoothcert {
namespace {

using nlohmann::json;
using test::Bytes;
using test::idx_bytes;
using test::write_bytes;
using testing::HasSubstr;

constexpr const char* kImages = "data/t10k-images-idx3-ubyte";
constexpr const char* kLabels = "data/t10k-labels-idx1-ubyte";

class CliBadInput : public testing::Test, public test::CliTest {
 protected:
  void SetUp() override {
    if (test::program().empty()) GTEST_SKIP() << "built without the program";
    write_toy_study();
  }
  // What every failed run must leave: no store that was not there, no half-written file.
  std::string certify_fails(int code, const std::string& more = "") {
    return fails(code,
                 "certify toy.safetensors --data data --sigma 0.5 --n0 10 --n 100 --alpha 0.05 "
                 "--store new.sqlite " +
                     more);
  }
  /// Through bash, in the folder, for what only a shell can do to the program; gives the file
  /// `err`.
  std::string in_shell(const std::string& arguments, int code = 1) const {
    const int status = std::system(("cd '" + path().string() + "' && bash -c \"'" +
                                    test::program().string() + "' " + arguments + "\"")
                                       .c_str());
    EXPECT_TRUE(WIFEXITED(status)) << arguments;
    EXPECT_EQ(WEXITSTATUS(status), code) << arguments;
    return test::file_text(path("err"));
  }
  void put_weights(const std::function<void(json& header, std::string& data)>& change) {
    const std::string file = test::file_text(path("toy.safetensors"));
    std::uint64_t length = 0;
    std::memcpy(&length, file.data(), 8);
    json header = json::parse(file.substr(8, length));
    std::string data = file.substr(8 + length);
    change(header, data);
    const std::string text = header.dump();
    length = text.size();
    std::string out(8, '\0');
    std::memcpy(out.data(), &length, 8);
    test::write_text(path("toy.safetensors"), out + text + data);
  }
};

TEST_F(CliBadInput, IdxFiles) {
  const Bytes pixels(40 * 16, 7), labels(40, 3);
  const auto rejected = [&](const char* file, const Bytes& bytes) {
    write_toy_study();
    write_bytes(path(file), bytes);
    return certify_fails(1);
  };
  EXPECT_THAT(rejected(kImages, Bytes{1, 2, 3, 4, 5, 6, 7, 8}), HasSubstr(kImages));
  Bytes truncated = idx_bytes({40, 4, 4}, pixels);
  truncated.resize(100);
  EXPECT_THAT(rejected(kImages, truncated), HasSubstr(kImages));
  EXPECT_THAT(rejected(kImages, {}), HasSubstr(kImages));
  EXPECT_THAT(rejected(kImages, Bytes{0, 0}), HasSubstr(kImages));
  EXPECT_THAT(
      rejected(kImages, idx_bytes({4'000'000'000u, 4'000'000'000u, 4'000'000'000u}, pixels)),
      HasSubstr(kImages));
  EXPECT_THAT(rejected(kImages, idx_bytes({39, 4, 4}, Bytes(39 * 16, 1))),
              HasSubstr("40 labels, but"));
  Bytes eleven = labels;
  eleven[5] = 11;
  EXPECT_THAT(rejected(kLabels, idx_bytes({40}, eleven)), HasSubstr("label 11 at index 5"));
  write_toy_study();
  std::filesystem::remove(path(kLabels));
  EXPECT_THAT(certify_fails(1), HasSubstr("data"));
  EXPECT_THAT(fails(2, "certify toy.safetensors --data nowhere/at/all"),
              HasSubstr("nowhere/at/all"));
  EXPECT_FALSE(std::filesystem::exists(path("new.sqlite")));
}

TEST_F(CliBadInput, ModelFiles) {
  const auto rejected = [&](const std::function<void(json&, std::string&)>& change) {
    write_toy_study();
    put_weights(change);
    return certify_fails(1);
  };
  EXPECT_THAT(fails(1, "certify missing.safetensors"), HasSubstr("missing.safetensors"));
  EXPECT_THAT(fails(1, "certify data"), HasSubstr("data"));
  test::write_text(path("toy.safetensors"), "this is no model, only text");
  EXPECT_THAT(certify_fails(1), HasSubstr("toy.safetensors"));
  EXPECT_THAT(rejected([](json&, std::string& data) { data.resize(40); }),
              HasSubstr("toy.safetensors"));
  EXPECT_THAT(rejected([](json& header, std::string&) {
                header["fc1.weight"]["data_offsets"] = header["fc1.bias"]["data_offsets"];
              }),
              HasSubstr("fc1"));
  EXPECT_THAT(rejected([](json& header, std::string&) {
                header["fc1.weight"]["data_offsets"][1] = 1'000'000;
              }),
              HasSubstr("fc1.weight"));
  EXPECT_THAT(rejected([](json& header, std::string&) { header["fc1.bias"]["dtype"] = "I64"; }),
              HasSubstr("fc1.bias"));
  EXPECT_THAT(rejected([](json& header, std::string&) {
                header["fc1.weight"]["shape"] = {16, 10};
              }),
              HasSubstr("fc1.weight"));
  EXPECT_THAT(rejected([](json&, std::string& data) {
                const float nan = std::numeric_limits<float>::quiet_NaN();
                std::memcpy(data.data() + data.size() - 4, &nan, 4);
              }),
              HasSubstr("NaN"));
  EXPECT_FALSE(std::filesystem::exists(path("new.sqlite")));
}

TEST_F(CliBadInput, NumbersOutOfRange) {
  const auto rejected = [&](const std::string& flags) {
    return fails(2, "certify toy.safetensors --data data --store new.sqlite " + flags);
  };
  EXPECT_THAT(rejected("--sigma 0"), HasSubstr("sigma is 0"));
  EXPECT_THAT(rejected("--sigma -1"), HasSubstr("sigma is -1"));
  EXPECT_THAT(rejected("--sigma nan"), HasSubstr("sigma"));
  EXPECT_THAT(rejected("--sigma inf"), HasSubstr("sigma"));
  EXPECT_THAT(rejected("--sigma half"), HasSubstr("--sigma: 'half' is not a number"));
  EXPECT_THAT(rejected("--alpha 0"), HasSubstr("alpha is 0"));
  EXPECT_THAT(rejected("--alpha 1"), HasSubstr("alpha is 1"));
  EXPECT_THAT(rejected("--alpha 1.5"), HasSubstr("alpha is 1.5"));
  EXPECT_THAT(rejected("--n0 0"), HasSubstr("n0 is 0"));
  EXPECT_THAT(rejected("--n 0"), HasSubstr("n is 0"));
  EXPECT_THAT(rejected("--n -5"), HasSubstr("--n: '-5'"));
  EXPECT_THAT(rejected("--n 1.5"), HasSubstr("--n: '1.5'"));
  EXPECT_THAT(rejected("--n 5 --alpha 0.001"), HasSubstr("it takes at least n = 10"));
  EXPECT_THAT(rejected("--n 5000000000"), HasSubstr("at most 4294967295"));
  EXPECT_THAT(rejected("--skip 0"), HasSubstr("--skip"));
  EXPECT_THAT(rejected("--start 40"), HasSubstr("beyond the 40 images"));
  EXPECT_THAT(rejected("--shard 3/2"), HasSubstr("a shard is I/N"));
  EXPECT_THAT(rejected("--seed -1"), HasSubstr("--seed: '-1'"));
  EXPECT_THAT(rejected("--threads 5000"), HasSubstr("--threads"));
  EXPECT_THAT(rejected("--sigma"), HasSubstr("--sigma"));
  EXPECT_FALSE(std::filesystem::exists(path("new.sqlite")));
}

TEST_F(CliBadInput, AModelForOtherImages) {
  test::write_text(path("big.json"), R"({"name":"big","input":[1,5,5],"classes":10,"layers":[
      {"op":"flatten"},{"op":"linear","name":"fc1","out_features":10}]})");
  save_network(initialise(parse_network_spec(test::file_text(path("big.json")), "big.json"), 1),
               path("big.safetensors"));
  for (const char* command : {"certify", "predict"}) {
    const auto line =
        fails(2, std::string(command) + " big.safetensors --data data --sigma 1 --n 100");
    EXPECT_THAT(line, HasSubstr("5")) << line;
    EXPECT_THAT(line, HasSubstr("4")) << line;
  }
}

TEST_F(CliBadInput, AFullDisk) {
  // Every file of the process is bounded, as by a quota: the store cannot grow.
  const std::vector<std::string> command = {
      "certify", "toy.safetensors", "--data", "data",    "--sigma",    "0.5", "--n", "500", "--n0",
      "50",      "--alpha",         "0.05",   "--store", "full.sqlite"};
  for (const std::uint64_t limit : {3'000, 20'000, 50'000}) {
    const auto full = run(command, limit);
    EXPECT_EQ(full.code, 1) << full.err;
    EXPECT_THAT(full.err, HasSubstr("smoothcert: results store 'full.sqlite'")) << limit;
  }
  // With room the same command goes on, and ends as if nothing had happened.
  EXPECT_EQ(run(command).code, 0);
  ok("certify toy.safetensors --data data --sigma 0.5 --n 500 --n0 50 --alpha 0.05 --store "
     "whole.sqlite");
  EXPECT_EQ(dump("full.sqlite"), dump("whole.sqlite"));
}

TEST_F(CliBadInput, AFullStandardOutput) {
  const std::string program = test::program().string();
  const int status =
      std::system(("'" + program + "' info > /dev/full 2> '" + path("err").string() + "'").c_str());
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_THAT(test::file_text(path("err")),
              HasSubstr("cannot write the result to standard output"));
}

TEST_F(CliBadInput, AResultLongerThanABufferIsMissedToo) {
  ok("certify toy.safetensors --data data --sigma 0.5 --n0 10 --n 100 --alpha 0.05");
  EXPECT_THAT(in_shell("export results.sqlite --run 1 --json > /dev/full 2> err"),
              HasSubstr("cannot write the result to standard output: No space left"));
}

TEST_F(CliBadInput, AStandardErrorThatIsFullOrClosed) {
  // Chatter that nobody can read is no reason to lose the work.
  const std::string certify =
      "certify toy.safetensors --data data --sigma 0.5 --n0 10 --n 100 --alpha 0.05 --store ";
  for (const std::string how : {"> out 2> /dev/full", "> out 2>&-", "> out < /dev/null 2>&- <&-"}) {
    in_shell(certify + "s.sqlite --tsv s.tsv " + how, 0);
    EXPECT_THAT(test::file_text(path("out")), HasSubstr("certified accuracy at r:")) << how;
    EXPECT_THAT(test::file_text(path("s.tsv")), testing::StartsWith("idx\t")) << how;
    remove("s.sqlite");
  }
  in_shell("certify nowhere.safetensors 2>&-", 1);
}

TEST_F(CliBadInput, AStandardOutputThatIsClosed) {
  // Nor may a file that is opened later take its place and get the result into it.
  EXPECT_THAT(in_shell("certify toy.safetensors --data data --sigma 0.5 --n0 10 --n 100 --alpha "
                       "0.05 --store s.sqlite <&- >&- 2> err"),
              HasSubstr("cannot write the result to standard output"));
  EXPECT_EQ(stored("s.sqlite"), 40u);
}

TEST_F(CliBadInput, FilesThatAreDevicesOrPipes) {
  // As root the device itself would be at stake, so a pipe stands for it.
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  in_shell(
      "certify toy.safetensors --data data --sigma 0.5 --n0 10 --n 100 --alpha 0.05 --store "
      "s.sqlite --tsv pipe > out & cat pipe > tsv; wait",
      0);
  EXPECT_THAT(test::file_text(path("tsv")), testing::StartsWith("idx\t"));
  EXPECT_TRUE(std::filesystem::is_fifo(path("pipe")));
  const std::string certify = "certify toy.safetensors --data data --n 100 --no-checks ";
  EXPECT_THAT(fails(1, certify + "--store pipe"), HasSubstr("'pipe' is not a file"));
  EXPECT_THAT(fails(1, certify + "--store /dev/null"), HasSubstr("'/dev/null' is not a file"));
  in_shell("import /dev/stdin --name piped --store s.sqlite < tsv > out 2> err", 0);
  in_shell("import /dev/stdin --name piped --store i.sqlite > out 2> err < <(cat tsv)", 0);
  EXPECT_THAT(test::file_text(path("out")), HasSubstr("piped: 40 images"));
}

TEST_F(CliBadInput, FoldersThatCannotBeWritten) {
  EXPECT_THAT(certify_fails(1, "--tsv no/such/folder.tsv"), HasSubstr("no/such"));
  EXPECT_FALSE(std::filesystem::exists(path("new.sqlite"))) << "found before the work";
  EXPECT_THAT(fails(1, "certify toy.safetensors --data data --store no/such/store.sqlite"),
              HasSubstr("no/such"));
  EXPECT_THAT(fails(1, "certify toy.safetensors --data data --store data"),
              HasSubstr("is a folder"));
  if (geteuid() == 0) return;  // root writes everywhere
  std::filesystem::create_directory(path("closed"));
  chmod(path("closed").c_str(), 0500);
  EXPECT_THAT(fails(1, "certify toy.safetensors --data data --store closed/store.sqlite"),
              HasSubstr("closed"));
}

TEST_F(CliBadInput, StoresThatAreNone) {
  EXPECT_THAT(fails(1, "report missing"), HasSubstr("there is no results store 'missing'"));
  EXPECT_THAT(fails(1, "export missing.sqlite"), HasSubstr("there is no results store"));
  EXPECT_THAT(fails(1, "recompute missing.sqlite --alpha 0.1"),
              HasSubstr("there is no results store"));
  EXPECT_FALSE(std::filesystem::exists(path("missing.sqlite")));
  test::write_text(path("text.sqlite"), "This is not a database at all, but it is long enough.");
  for (const char* command : {"export text.sqlite", "report text.sqlite",
                              "recompute text.sqlite --alpha 0.1", "merge text.sqlite"})
    EXPECT_THAT(fails(1, command), HasSubstr("text.sqlite")) << command;
  EXPECT_THAT(test::file_text(path("text.sqlite")), testing::StartsWith("This is not"));
}

class OpenDatabase {
 public:
  explicit OpenDatabase(const std::filesystem::path& file) { sqlite3_open(file.c_str(), &db_); }
  ~OpenDatabase() { sqlite3_close(db_); }
  void execute(const char* sql) {
    ASSERT_EQ(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db_);
  }

 private:
  sqlite3* db_ = nullptr;
};

TEST_F(CliBadInput, AStoreThatAnotherProcessLocks) {
  ok("certify toy.safetensors --data data --sigma 0.5 --n0 10 --n 100 --max 3");
  const std::string before = dump("results.sqlite");
  OpenDatabase db(path("results.sqlite"));
  db.execute("BEGIN IMMEDIATE");
  EXPECT_THAT(fails(1, "certify toy.safetensors --data data --sigma 0.5 --n0 10 --n 100 --max 6"),
              HasSubstr("results.sqlite"));
  db.execute("ROLLBACK");
  EXPECT_EQ(dump("results.sqlite"), before);
}

TEST_F(CliBadInput, AStoreFromANewerVersion) {
  ok("certify toy.safetensors --data data --sigma 0.5 --n0 10 --n 100 --max 3");
  OpenDatabase(path("results.sqlite")).execute("PRAGMA user_version=99");
  for (const char* command :
       {"export results.sqlite", "report results.sqlite",
        "certify toy.safetensors --data data --sigma 0.5 --n0 10 --n 100 --max 3"})
    EXPECT_THAT(fails(1, command), HasSubstr("schema version 99")) << command;
}

TEST_F(CliBadInput, TsvFilesOfPeers) {
  test::write_text(path("peer.tsv"), "idx\tlabel\tpredict\n");
  EXPECT_THAT(fails(1, "import peer.tsv"), HasSubstr("is not a certification file"));
  test::write_text(path("peer.tsv"),
                   "idx\tlabel\tpredict\tradius\tcorrect\ttime\n0\t1\t1\tx\t1\t0:00:00\n");
  EXPECT_THAT(fails(1, "import peer.tsv"), HasSubstr("'peer.tsv' line 2: radius is 'x'"));
  EXPECT_THAT(fails(1, "import missing.tsv"), HasSubstr("missing.tsv"));
  EXPECT_THAT(fails(2, "import"), HasSubstr("which file?"));
  EXPECT_FALSE(std::filesystem::exists(path("results.sqlite")));
}

TEST_F(CliBadInput, EmptyAndRepeatedValues) {
  // As of a shell variable that is not set: never taken for "not given".
  for (const std::string option : {"--store", "--tsv", "--data", "--config", "--shard"}) {
    EXPECT_THAT(fails(2, "certify toy.safetensors " + option + "="),
                HasSubstr(option + ": the value is empty"));
    const auto apart = run(std::vector<std::string>{"certify", "toy.safetensors", option, ""});
    EXPECT_EQ(apart.code, 2) << option;
    EXPECT_THAT(apart.err, HasSubstr(option + ": the value is empty"));
  }
  EXPECT_THAT(run(std::vector<std::string>{"export", ""}).err, HasSubstr("an argument is empty"));
  test::write_text(path("empty.toml"), "store = \"\"\n");
  EXPECT_THAT(fails(2, "certify toy.safetensors --config empty.toml"),
              HasSubstr("--store: the value is empty"));
  EXPECT_THAT(fails(2, "certify toy.safetensors --n 100 --n 200"),
              HasSubstr("--n is given 2 times; once is enough"));
  EXPECT_THAT(fails(2, "certify toy.safetensors --config data"),
              HasSubstr("--config: cannot read data"));
}

TEST_F(CliBadInput, AStoreInAFolderThatCannotBeWritten) {
  if (geteuid() == 0) GTEST_SKIP() << "root writes everywhere";
  ok("certify toy.safetensors --data data --sigma 0.5 --n0 10 --n 100 --alpha 0.05");
  const std::string before = dump("results.sqlite");
  std::filesystem::create_directory(path("closed"));
  std::filesystem::copy_file(path("results.sqlite"), path("closed/results.sqlite"));
  chmod(path("closed/results.sqlite").c_str(), 0400);
  chmod(path("closed").c_str(), 0500);
  EXPECT_EQ(ok("export closed --dump"), before);
  EXPECT_THAT(ok("report closed --out elsewhere"), HasSubstr("elsewhere/report.html"));
  EXPECT_THAT(fails(1, "recompute closed --alpha 0.1"), HasSubstr("cannot be written"));
  chmod(path("closed").c_str(), 0700);
  test::write_text(path("closed/results.sqlite-wal"), std::string(100, 'x'));  // not empty
  chmod(path("closed").c_str(), 0500);
  EXPECT_THAT(fails(1, "export closed"), HasSubstr("its newest results are in its -wal file"));
  chmod(path("closed").c_str(), 0700);
}

TEST_F(CliBadInput, StoresWithoutRuns) {
  test::write_text(path("empty.sqlite"), "");
  EXPECT_THAT(fails(1, "recompute empty.sqlite --alpha 0.1"), HasSubstr("it is empty"));
  EXPECT_EQ(test::file_text(path("empty.sqlite")), "") << "nothing was made of it";
  test::write_text(path("p.tsv"),
                   "idx\tlabel\tpredict\tradius\tcorrect\ttime\n0\t1\t1\t0.5\t1\t0:00:00\n");
  ok("import p.tsv --store i.sqlite");
  EXPECT_THAT(fails(1, "recompute i.sqlite --alpha 0.1"), HasSubstr("holds no run"));
  EXPECT_THAT(fails(1, "export i.sqlite --out tsv"), HasSubstr("holds no run"));
  EXPECT_FALSE(std::filesystem::exists(path("tsv")));
}

TEST_F(CliBadInput, ImportsOfOneName) {
  const std::string text = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n0\t1\t1\t0.5\t1\t0:00:00\n";
  for (const char* folder : {"a", "b"}) {
    std::filesystem::create_directory(path(folder));
    test::write_text(path(folder) / "noise.tsv", text);
  }
  // The second would silently take the first one's place.
  EXPECT_THAT(fails(2, "import a/noise.tsv b/noise.tsv --store i.sqlite"),
              HasSubstr("a/noise.tsv and b/noise.tsv would both be named 'noise'"));
  ok("import a/noise.tsv --store i.sqlite");
  ok("import a/noise.tsv --store i.sqlite");  // the same file again: brought up to date
  EXPECT_THAT(fails(2, "import b/noise.tsv --store i.sqlite"), HasSubstr("a/noise.tsv; give"));
  ok("import b/noise.tsv --name theirs --store i.sqlite");
  // From inside each folder, under the same relative name: "sigma_0.50" has no ending.
  for (const char* folder : {"a", "b"}) {
    std::filesystem::rename(path(folder) / "noise.tsv", path(folder) / "sigma_0.50");
    const int status =
        std::system(("cd '" + (path() / folder).string() + "' && '" + test::program().string() +
                     "' import sigma_0.50 --store ../j.sqlite > /dev/null 2>&1")
                        .c_str());
    EXPECT_EQ(WEXITSTATUS(status), folder == std::string("a") ? 0 : 2) << folder;
  }
  test::write_text(path("none.tsv"), "idx\tlabel\tpredict\tradius\tcorrect\ttime\n");
  EXPECT_THAT(fails(1, "import none.tsv --store k.sqlite"), HasSubstr("no images"));
}

TEST_F(CliBadInput, ZeroIsNotTheDefault) {
  EXPECT_THAT(fails(2, "train normal --epochs 0"), HasSubstr("--epochs: 0 is outside 1"));
  EXPECT_THAT(fails(2, "train normal --batch-size 0"), HasSubstr("--batch-size: 0 is outside 1"));
  EXPECT_THAT(fails(2, "train normal --learning-rate 0"), HasSubstr("--learning-rate: 0 is not"));
  EXPECT_THAT(fails(2, "train smoothing --sigma -1"), HasSubstr("--sigma: -1 is not"));
  EXPECT_THAT(fails(2, "train adversarial --epsilon nan"), HasSubstr("--epsilon: nan is not"));
  ok("certify toy.safetensors --data data --sigma 0.5 --n0 10 --n 100 --alpha 0.05");
  EXPECT_THAT(fails(2, "export results.sqlite --run 1 --alpha 0"), HasSubstr("--alpha: 0 is"));
  EXPECT_THAT(fails(2, "export results.sqlite --run 1 --alpha nan"), HasSubstr("--alpha: nan is"));
  EXPECT_THAT(fails(2, "export results.sqlite --run 0"), HasSubstr("no run 0"));
  EXPECT_THAT(fails(2, "export results.sqlite --run x"), HasSubstr("--run: 'x'"));
  EXPECT_THAT(fails(2, "recompute results.sqlite --alpha nan"), HasSubstr("--alpha: nan is"));
}

TEST_F(CliBadInput, WhatIsMissing) {
  for (const char* command : {"certify", "predict", "attack"})
    EXPECT_THAT(fails(2, command), HasSubstr("which model?")) << command;
  EXPECT_THAT(fails(2, "merge"), HasSubstr("which stores?"));
  EXPECT_THAT(fails(2, "recompute results.sqlite"),
              HasSubstr("at which α, with which p_B, or for"));
  EXPECT_THAT(fails(2, "recompute results.sqlite --alpha 7"), HasSubstr("--alpha: 7"));
}

}  // namespace
}  // namespace smoothcert
