#include <cstdio>
#include <cmath>
#include <cuda_fp16.h>
#include <vector>
__device__ float ta(float x){float y; asm("tanh.approx.f32 %0, %1;":"=f"(y):"f"(x)); return y;}
__device__ float ex(float x){float y; asm("ex2.approx.ftz.f32 %0, %1;":"=f"(y):"f"(x)); return y;}
__device__ float rc(float x){float y; asm("rcp.approx.ftz.f32 %0, %1;":"=f"(y):"f"(x)); return y;}
__global__ void k(const float* x, float* t, float* s, float* q, int n){int i=blockIdx.x*blockDim.x+threadIdx.x; if(i<n){float v=x[i],h=0.5f*v; t[i]=fmaf(h,ta(0.851f*v),h); s[i]=v*rc(1.f+ex(-1.702f*1.4426950408889634f*v)); q[i]=ta(v);} }
int main(){int n=1<<22; std::vector<float> x(n),t(n),s(n),q(n); float *dx,*dt,*ds,*dq; cudaMalloc(&dx,n*4);cudaMalloc(&dt,n*4);cudaMalloc(&ds,n*4);cudaMalloc(&dq,n*4);
 for(double sd: {0.1,0.3,1.0,2.0,4.0}) { unsigned long long r=88172645463325252ull; auto u=[&]{r^=r<<13;r^=r>>7;r^=r<<17;return (r>>11)*(1.0/9007199254740992.0);};
  for(int i=0;i<n;++i) x[i]=sd*sqrt(-2*log(u()+1e-300))*cos(6.283185307179586*u());
  cudaMemcpy(dx,x.data(),n*4,cudaMemcpyHostToDevice); k<<<n/256,256>>>(dx,dt,ds,dq,n); cudaMemcpy(t.data(),dt,n*4,cudaMemcpyDeviceToHost);cudaMemcpy(s.data(),ds,n*4,cudaMemcpyDeviceToHost);cudaMemcpy(q.data(),dq,n*4,cudaMemcpyDeviceToHost);
  double et=0,es=0,eh=0,eth=0,nn=0,wt=0,wth=0,wh=0,rt=0,bias=0; for(int i=0;i<n;++i){double X=x[i],e=X/(1+exp(-1.702*X)); double h=__half2float(__float2half(s[i])),th=__half2float(__float2half(t[i])); et+=(t[i]-e)*(t[i]-e);es+=(s[i]-e)*(s[i]-e);eh+=(h-e)*(h-e);eth+=(th-e)*(th-e);nn+=e*e;wt=fmax(wt,fabs(t[i]-e));wh=fmax(wh,fabs(h-e));wth=fmax(wth,fabs(th-e)); rt=fmax(rt,fabs(q[i]-tanh(X))); bias+=t[i]-e;}
  printf("sd %.1f: norm error tanh %.2e sigmoid %.2e; rounded to fp16: sigmoid %.2e tanh %.2e (ratio %.2f); worst abs: tanh %.2e, rounded sigmoid %.2e, rounded tanh %.2e; tanh itself worst %.2e; bias/rms %.2e\n",sd,sqrt(et/nn),sqrt(es/nn),sqrt(eh/nn),sqrt(eth/nn),sqrt(eth/eh),wt,wh,wth,rt,bias/n/sqrt(nn/n)); } }
