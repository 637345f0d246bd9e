#include <cuda.h>
#include <cuda_runtime.h>
#include <cstdio>
#include <vector>
#include <algorithm>
__device__ unsigned long long marks[2][128];
__global__ void work(int tower,int i,int spin){ asm volatile("griddepcontrol.wait;"); unsigned long long t; asm volatile("mov.u64 %0,%globaltimer;":"=l"(t)); if(blockIdx.x==0&&threadIdx.x==0) marks[tower][i]=t; asm volatile("griddepcontrol.launch_dependents;"); long long c=clock64(); while(clock64()-c<spin); }
static CUstream slice_stream(CUdevResource* r){ CUdevice dev; cuDeviceGet(&dev,0); CUdevResourceDesc d; cuDevResourceGenerateDesc(&d,r,1); CUgreenCtx g; cuGreenCtxCreate(&g,d,dev,CU_GREEN_CTX_DEFAULT_STREAM); CUstream s; cuGreenCtxStreamCreate(&s,g,CU_STREAM_NON_BLOCKING,0); return s; }
static void launch(cudaStream_t s,int blocks,int t,int i,int spin){ cudaLaunchConfig_t c={}; c.gridDim=blocks; c.blockDim=128; c.stream=s; cudaLaunchAttribute a; a.id=cudaLaunchAttributeProgrammaticStreamSerialization; a.val.programmaticStreamSerializationAllowed=1; c.attrs=&a; c.numAttrs=1; cudaLaunchKernelEx(&c,work,t,i,spin); }
int main(){ cuInit(0); cudaFree(0); CUdevice dev; cuDeviceGet(&dev,0);
 CUdevResource all,a,rest; cuDeviceGetDevResource(dev,&all,CU_DEV_RESOURCE_TYPE_SM); unsigned n=1; cuDevSmResourceSplitByCount(&a,&n,&all,&rest,0,16);
 for(int mode=0;mode<4;++mode){ bool green=mode&1, text_first=mode&2; cudaStream_t s0,v,t; cudaStreamCreateWithFlags(&s0,cudaStreamNonBlocking);
  if(green){ v=slice_stream(&rest); t=slice_stream(&a);} else { cudaStreamCreateWithFlags(&v,cudaStreamNonBlocking); cudaStreamCreateWithFlags(&t,cudaStreamNonBlocking);} 
  cudaEvent_t f,jv,jt; cudaEventCreateWithFlags(&f,cudaEventDisableTiming); cudaEventCreateWithFlags(&jv,cudaEventDisableTiming); cudaEventCreateWithFlags(&jt,cudaEventDisableTiming);
  cudaGraph_t g; cudaGraphExec_t e; cudaStreamBeginCapture(s0,cudaStreamCaptureModeRelaxed); cudaEventRecord(f,s0); cudaStreamWaitEvent(v,f,0); cudaStreamWaitEvent(t,f,0);
  for(int k=0;k<2;++k){ bool text=(k==0)==text_first; for(int i=0;i<63;++i) launch(text?t:v,text?16:116,text,i,5000); }
  cudaEventRecord(jv,v); cudaEventRecord(jt,t); cudaStreamWaitEvent(s0,jv,0); cudaStreamWaitEvent(s0,jt,0); cudaError_t r=cudaStreamEndCapture(s0,&g); r=cudaGraphInstantiate(&e,g,0); if(r) printf("%s\n",cudaGetErrorString(r));
  cudaEvent_t e0,e1; cudaEventCreate(&e0); cudaEventCreate(&e1);
  for(int queued=0;queued<2;++queued){ std::vector<float> off,dur,ev,first; for(int it=0;it<40;++it){ if(queued) for(int q=0;q<6;++q) cudaGraphLaunch(e,s0); cudaEventRecord(e0,s0); cudaGraphLaunch(e,s0); cudaEventRecord(e1,s0); cudaStreamSynchronize(s0); float ms; cudaEventElapsedTime(&ms,e0,e1); unsigned long long m[2][128]; cudaMemcpyFromSymbol(m,marks,sizeof m); if(it<5) continue; ev.push_back(ms*1e3f); off.push_back(((long long)m[1][0]-(long long)m[0][0])*1e-3f); unsigned long long b=std::min(m[0][0],m[1][0]), z=std::max(m[0][62],m[1][62]); dur.push_back((z-b)*1e-3f);} 
   auto med=[](std::vector<float>&x){std::sort(x.begin(),x.end()); return x[x.size()/2];}; printf("green %d text_first %d queued %d: text starts after vision by %.1f us (%.1f..%.1f), first to last start %.1f, events %.1f %s\n",green,text_first,queued,med(off),off[0],off.back(),med(dur),med(ev),cudaGetErrorString(cudaGetLastError())); }
 } }
