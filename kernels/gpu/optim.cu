// Optimisers: every value of a parameter, its gradient and its state is read once, what changes is written once.
//
// lr and step come as numbers, or from device memory where the pointer before them is not null: a captured graph has
// its numbers frozen. What depends on constants alone comes computed in float64, such as 1 - beta: 1 - 0.999 has only
// four right digits in float32.
#include "packs.cuh"

// A launch updates several tensors, for it takes longer than the update of a bias. Their places and sizes are
// parameters of their own, as launching passes arrays and numbers, no structs; the blocks are shared out in the
// tensors' order.
#define EACH_TENSOR(DO) \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)
#define PARAMETERS(i) const float *grad##i, float *param##i, float *first##i, float *second##i, long long n##i,
#define TENSORS EACH_TENSOR(PARAMETERS)

// A tensor with its gradient and the optimiser's state, and which of its blocks this block is.
struct Tensor {
    const float* grad;
    float *param, *first, *second;
    long long n;
    int block;

    __device__ int blocks() const { return (n + 4 * PACKS * THREADS - 1) / (4 * PACKS * THREADS); }
    __device__ bool is_before() const { return block >= blocks(); }
};

// Declare the block's tensor. A tensor of no values has no block, and one is what the search begins with.
#define NEXT(i) \
    if (tensor.is_before()) tensor = {grad##i, param##i, first##i, second##i, n##i, tensor.block - tensor.blocks()};
#define FIND_TENSOR \
    Tensor tensor = {nullptr, nullptr, nullptr, nullptr, 0, static_cast<int>(blockIdx.x)}; \
    EACH_TENSOR(NEXT)

template <class F, class... Array>
__device__ void update(const Tensor& tensor, F f, Array... state) {
    elementwise_of(tensor.block, tensor.blocks(), tensor.n, f, tensor.grad, tensor.param, state...);
}

// 20 bytes a value (two reads of the state's old values, grad, two writes), 4 FLOP.
__global__ void __launch_bounds__(THREADS) sgd(TENSORS const float* lr_at, float lr, float momentum) {
    FIND_TENSOR
    if (lr_at) lr = *lr_at;
    auto body = [=](float g, float& w, float& v) {
        v = momentum * v + g;
        w -= lr * v;
    };
    update(tensor, body, tensor.first);
}

// 28 bytes a value, 14 FLOP. Each thread computes the bias corrections anew: two exponentials for eight values cost
// nothing beside 224 bytes. 1 - beta^step = -expm1(step ln beta) keeps its digits at step 1, where 1 - beta^step in
// float32 keeps four of 0.001's.
__global__ void __launch_bounds__(THREADS)
    adam(TENSORS const int* step_at, int step, const float* lr_at, float lr, float beta1, float rest1, float log_beta1,
         float beta2, float rest2, float log_beta2, float eps) {
    FIND_TENSOR
    if (lr_at) lr = *lr_at;
    if (step_at) step = *step_at;
    const float corrected_lr = lr / -expm1f(step * log_beta1);
    const float root_correction = rsqrtf(-expm1f(step * log_beta2));
    auto body = [=](float g, float& w, float& m, float& v) {
        m = beta1 * m + rest1 * g;
        v = beta2 * v + rest2 * (g * g);
        w -= corrected_lr * m / (sqrtf(v) * root_correction + eps);
    };
    update(tensor, body, tensor.first, tensor.second);
}

// 20 bytes a value, 7 FLOP.
__global__ void __launch_bounds__(THREADS)
    rmsprop(TENSORS const float* lr_at, float lr, float decay, float rest, float eps) {
    FIND_TENSOR
    if (lr_at) lr = *lr_at;
    auto body = [=](float g, float& w, float& s) {
        s = decay * s + rest * (g * g);
        w -= lr * g / (sqrtf(s) + eps);
    };
    update(tensor, body, tensor.first);
}
