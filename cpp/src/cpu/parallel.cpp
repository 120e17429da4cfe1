#include "geodet/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace geodet {
namespace {

struct Job {
  RangeFunction function;
  void* context;
  std::int64_t count;
  std::int64_t grain;
  std::atomic<std::int64_t> next{0};

  void run() {
    for (;;) {
      const std::int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
      if (begin >= count) return;
      function(context, begin, std::min(begin + grain, count));
    }
  }
};

constexpr int kMaxWorkers = 63;

// Workers sleep on `wake` and live as long as the process. The pool is never destroyed: at exit
// a worker may still be inside its wait.
class Pool {
 public:
  // Runs the job on the caller and up to `helpers` workers. False: busy, nothing was run.
  bool try_run(Job& job, int helpers) {
    std::unique_lock<std::mutex> owner(owner_, std::try_to_lock);
    if (!owner.owns_lock()) return false;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      start_workers(helpers);
      job_ = &job;
      seats_ = std::min(helpers, workers_);
      ++generation_;
    }
    wake_.notify_all();
    job.run();
    std::unique_lock<std::mutex> lock(mutex_);
    seats_ = 0;  // a worker that has not begun yet finds nothing left to do
    idle_.wait(lock, [this] { return running_ == 0; });
    job_ = nullptr;
    return true;
  }

 private:
  void start_workers(int wanted) {
    wanted = std::min(wanted, kMaxWorkers);
    while (workers_ < wanted) {
      try {
        std::thread([this] { work(); }).detach();
      } catch (const std::system_error&) {
        return;  // no thread to be had: fewer workers, the same result
      }
      ++workers_;
    }
  }

  void work() {
    std::uint64_t seen = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return generation_ != seen; });
      seen = generation_;
      if (seats_ == 0) continue;
      --seats_;
      ++running_;
      Job* job = job_;
      lock.unlock();
      job->run();
      lock.lock();
      if (--running_ == 0) idle_.notify_one();
    }
  }

  std::mutex owner_;  // held by the thread whose job is running
  std::mutex mutex_;  // guards everything below
  std::condition_variable wake_;
  std::condition_variable idle_;
  Job* job_ = nullptr;
  std::uint64_t generation_ = 0;
  int workers_ = 0;
  int seats_ = 0;
  int running_ = 0;
};

std::atomic<Pool*> current_pool{nullptr};

// A forked child has the parent's pool without its threads, perhaps with a lock held: it leaks
// that pool and makes its own when it first needs one.
void forget_pool() { current_pool.store(nullptr); }

Pool* shared_pool() {
  Pool* pool = current_pool.load(std::memory_order_acquire);
  if (pool != nullptr) return pool;
  static std::once_flag registered;
#if defined(__unix__) || defined(__APPLE__)
  std::call_once(registered, [] { pthread_atfork(nullptr, nullptr, forget_pool); });
#endif
  Pool* fresh = new (std::nothrow) Pool;
  if (fresh == nullptr) return nullptr;
  if (!current_pool.compare_exchange_strong(pool, fresh)) {
    delete fresh;  // another thread was first; ours has no workers yet
    return pool;
  }
  return fresh;
}

}  // namespace

void parallel_ranges(std::int64_t count, std::int64_t grain, int num_threads,
                     RangeFunction function, void* context) noexcept {
  if (count <= 0) return;
  Job job{function, context, count, std::max<std::int64_t>(grain, 1)};
  const std::int64_t pieces = (count + job.grain - 1) / job.grain;
  const auto helpers = static_cast<int>(std::min<std::int64_t>(num_threads, pieces)) - 1;
  if (helpers > 0) {
    Pool* pool = shared_pool();
    if (pool != nullptr && pool->try_run(job, helpers)) return;
  }
  job.run();
}

}  // namespace geodet
