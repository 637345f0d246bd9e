#include "links.h"
__global__ void smids(unsigned* out){ unsigned id; asm volatile("mov.u32 %0, %smid;":"=r"(id)); long long t0=clock64(); while(clock64()-t0<200000); if(threadIdx.x==0) out[blockIdx.x]=id; }
int main(int argc,char** argv){ cuInit(0); cudaFree(0);
  CUdevice dev; cuDeviceGet(&dev,0); CUdevResource all; cuDeviceGetDevResource(dev,&all,CU_DEV_RESOURCE_TYPE_SM);
  cudaStreamCreateWithFlags(&stream,cudaStreamNonBlocking); cudaStream_t s0=stream;
  Tower V,T;
  gemm_to<C<64,128,64,4,1,1,6,1,3,2>>(V,257,3072,1024,24); V.push_back(std::make_unique<ALink<At<3,96,4,2>>>(257,16)); gemm_to<C<48,64,64,1,4,1,6,1,4,1>>(V,257,1024,1024,24); gemm_to<C<96,128,64,1,8,1,6,1,4,0>>(V,257,4096,1024,24); gemm_to<C<96,64,64,1,4,1,6,2,4,1>>(V,257,1024,4096,24);
  gemm_to<C<80,128,64,1,8,1,4,1,4,2>>(T,77,2304,768,12); T.push_back(std::make_unique<ALink<At<4,32,2,1,3,1>>>(77,12)); gemm_to<C<80,64,64,1,4,1,4,1,4,1>>(T,77,768,768,12); gemm_to<C<80,128,64,1,8,1,4,1,4,0>>(T,77,3072,768,12); gemm_to<C<80,192,64,1,12,1,4,2,4,1>>(T,77,768,3072,12);

  unsigned* ids; cudaMallocManaged(&ids,4096);
  cudaEvent_t f,jv,jt; cudaEventCreateWithFlags(&f,cudaEventDisableTiming); cudaEventCreateWithFlags(&jv,cudaEventDisableTiming); cudaEventCreateWithFlags(&jt,cudaEventDisableTiming);
  auto show_ids=[&](const char* who,cudaStream_t s,int n){ cudaFuncSetAttribute(smids,cudaFuncAttributePreferredSharedMemoryCarveout,100); cudaFuncSetAttribute(smids,cudaFuncAttributeMaxDynamicSharedMemorySize,200000); smids<<<n,32,200000,s>>>(ids); cudaStreamSynchronize(s); std::vector<unsigned> v(ids,ids+n); std::sort(v.begin(),v.end()); printf("  %s:",who); for(unsigned x:v) printf(" %u",x); printf("\n"); };
  struct Case{int count; unsigned flags; bool vision_is_group;};
  std::vector<Case> cases={{8,0,false},{120,0,true},{112,0,true},{124,CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING,true},{8,CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING,false},{120,CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING,true},{12,CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING,false},{16,CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING,false},{128,CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING,true},{16,0,false},{20,0,false}};
  for(auto c: cases){ CUdevResource grp,rest; unsigned n=1; CUresult e=cuDevSmResourceSplitByCount(&grp,&n,&all,&rest,c.flags,c.count); if(e){ printf("split %d: %d\n",c.count,e); continue; }
    cudaStream_t sg=green(&grp), sr=rest.sm.smCount?green(&rest):0; cudaStream_t sv=c.vision_is_group?sg:sr, st=c.vision_is_group?sr:sg;
    int nv=c.vision_is_group?grp.sm.smCount:rest.sm.smCount, nt=c.vision_is_group?rest.sm.smCount:grp.sm.smCount;
    printf("split %d flags %u: vision %d SMs%s, text %d\n",c.count,c.flags,nv,c.vision_is_group?" (group)":"",nt); if(!sr||!nt) continue; show_ids("text",st,nt);
    auto run=[&](bool vision,bool text){ stream=s0; return time_graph([&]{ cudaEventRecord(f,s0); 
      if(vision){ cudaStreamWaitEvent(sv,f,0); stream=sv; for(int i=0;i<24;++i) for(auto&l:V) l->launch(i); cudaEventRecord(jv,sv); cudaStreamWaitEvent(s0,jv,0);} 
      if(text){ cudaStreamWaitEvent(st,f,0); stream=st; for(int i=0;i<12;++i) for(auto&l:T) l->launch(i); cudaEventRecord(jt,st); cudaStreamWaitEvent(s0,jt,0);} stream=s0; },60); };
    auto layer=[&](int k){ stream=s0; return time_graph([&]{ cudaEventRecord(f,s0); cudaStreamWaitEvent(sv,f,0); stream=sv; for(int i=0;i<24;++i) V[k]->launch(i); cudaEventRecord(jv,sv); cudaStreamWaitEvent(s0,jv,0); stream=s0; },60)/24; };
    for(int r=0;r<2;++r) printf("  vision %.1f text %.1f both %.1f  kernels %.2f %.2f %.2f %.2f %.2f %s\n",run(true,false),run(false,true),run(true,true),layer(0),layer(1),layer(2),layer(3),layer(4),cudaGetErrorString(cudaGetLastError())); fflush(stdout); }
  { stream=s0; for(int r=0;r<2;++r) printf("all 132, no green context: vision %.1f\n",time_graph([&]{ for(int i=0;i<24;++i) for(auto&l:V) l->launch(i);},60)); }
}
