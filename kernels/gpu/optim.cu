// Optimisers: every value of a parameter, its gradient and its state is read once, what changes is written once.
//
// lr and step come as numbers, or from device memory where the pointer before them is not null: a captured graph has
// its numbers frozen. What depends on constants alone comes computed in float64, such as 1 - beta: 1 - 0.999 has only
// four right digits in float32.
#include "packs.cuh"

// 20 bytes a value (two reads of the state's old values, grad, two writes), 4 FLOP.
__global__ void __launch_bounds__(THREADS)
    sgd(const float* grad, float* param, float* velocity, const float* lr_at, float lr, float momentum, long long n) {
    if (lr_at) lr = *lr_at;
    elementwise(
        n,
        [=](float g, float& w, float& v) {
            v = momentum * v + g;
            w -= lr * v;
        },
        grad, param, velocity);
}

// 28 bytes a value, 14 FLOP. Each thread computes the bias corrections anew: two exponentials for eight values cost
// nothing beside 224 bytes. 1 - beta^step = -expm1(step ln beta) keeps its digits at step 1, where 1 - beta^step in
// float32 keeps four of 0.001's.
__global__ void __launch_bounds__(THREADS)
    adam(const float* grad, float* param, float* m, float* v, const int* step_at, int step, const float* lr_at,
         float lr, float beta1, float rest1, float log_beta1, float beta2, float rest2, float log_beta2, float eps,
         long long n) {
    if (lr_at) lr = *lr_at;
    if (step_at) step = *step_at;
    const float corrected_lr = lr / -expm1f(step * log_beta1);
    const float root_correction = rsqrtf(-expm1f(step * log_beta2));
    elementwise(
        n,
        [=](float g, float& w, float& m, float& v) {
            m = beta1 * m + rest1 * g;
            v = beta2 * v + rest2 * (g * g);
            w -= corrected_lr * m / (sqrtf(v) * root_correction + eps);
        },
        grad, param, m, v);
}

// 20 bytes a value, 7 FLOP.
__global__ void __launch_bounds__(THREADS)
    rmsprop(const float* grad, float* param, float* square_mean, const float* lr_at, float lr, float decay, float rest,
            float eps, long long n) {
    if (lr_at) lr = *lr_at;
    elementwise(
        n,
        [=](float g, float& w, float& s) {
            s = decay * s + rest * (g * g);
            w -= lr * g / (sqrtf(s) + eps);
        },
        grad, param, square_mean);
}
