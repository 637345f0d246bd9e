#include "links.h"
int main(int argc,char** argv){ cuInit(0); cudaFree(0); int tsms=atoi(argv[1]);
  CUdevice dev; cuDeviceGet(&dev,0); CUdevResource all,grp,rest; cuDeviceGetDevResource(dev,&all,CU_DEV_RESOURCE_TYPE_SM); unsigned n=1; cuDevSmResourceSplitByCount(&grp,&n,&all,&rest,0,tsms);
  printf("text %u SMs, vision %u\n",grp.sm.smCount,rest.sm.smCount); tsms=grp.sm.smCount;
  cudaStream_t st=green(&grp), sv=green(&rest); cudaStreamCreateWithFlags(&stream,cudaStreamNonBlocking); cudaStream_t s0=stream;
  Tower V,T;
  gemm_to<C<64,128,64,4,1,1,6,1,3,2>>(V,257,3072,1024,24); V.push_back(std::make_unique<ALink<At<3,96,4,2>>>(257,16)); gemm_to<C<48,64,64,1,4,1,6,1,4,1>>(V,257,1024,1024,24); gemm_to<C<96,128,64,1,8,1,6,1,4,0>>(V,257,4096,1024,24); gemm_to<C<96,64,64,1,4,1,6,2,4,1>>(V,257,1024,4096,24);
  gemm_to<C<80,128,64,1,8,1,4,1,4,2>>(T,77,2304,768,12); T.push_back(std::make_unique<ALink<At<4,32,2,1,3,1>>>(77,12)); gemm_to<C<80,64,64,1,4,1,4,1,4,1>>(T,77,768,768,12); gemm_to<C<80,128,64,1,8,1,4,1,4,0>>(T,77,3072,768,12); gemm_to<C<80,192,64,1,12,1,4,2,4,1>>(T,77,768,3072,12);
  uint4 *big,*out; cudaMalloc(&big,(size_t)1<<30); cudaMemset(big,1,(size_t)1<<30); cudaMalloc(&out,64); cudaDeviceSynchronize();
  cudaEvent_t f,jv,jt; cudaEventCreateWithFlags(&f,cudaEventDisableTiming); cudaEventCreateWithFlags(&jv,cudaEventDisableTiming); cudaEventCreateWithFlags(&jt,cudaEventDisableTiming);
  auto run=[&](const char* name,bool vision,std::function<void()> text){ stream=s0; float us=time_graph([&]{ cudaEventRecord(f,s0); 
      if(vision){ cudaStreamWaitEvent(sv,f,0); stream=sv; for(int i=0;i<24;++i) for(auto&l:V) l->launch(i); cudaEventRecord(jv,sv); cudaStreamWaitEvent(s0,jv,0);} 
      if(text){ cudaStreamWaitEvent(st,f,0); text(); cudaEventRecord(jt,st); cudaStreamWaitEvent(s0,jt,0);} stream=s0; },60); printf("%-46s %8.1f us %s\n",name,us,cudaGetErrorString(cudaGetLastError())); fflush(stdout); };
  auto text_chain=[&]{ stream=st; for(int i=0;i<12;++i) for(auto&l:T) l->launch(i); };
  auto part=[&](int k){ stream=st; for(int i=0;i<12;++i) T[k]->launch(i); };
  for(int round=0;round<2;++round){
  run("vision alone",true,nullptr);
  run("text alone",false,text_chain);
  run("both",true,text_chain);
  run("both, text twice",true,[&]{text_chain();text_chain();});
  for(int k=0;k<5;++k){ char b[64]; sprintf(b,"vision + 60 of text kernel %d",k); run(b,true,[&]{for(int j=0;j<5;++j) part(k);}); sprintf(b,"60 of text kernel %d alone",k); run(b,false,[&]{for(int j=0;j<5;++j) part(k);}); }
  for(int early=0;early<2;++early) for(int count: {1,30,62,124,248}){ char b[80]; sprintf(b,"vision + %d spins of %d ns%s",count,560000/count,early?", early":""); run(b,true,[&]{for(int i=0;i<count;++i) spin_launch(st,tsms,560000/count-(count>1?1000:0),early);}); }
  for(int mb: {64,128,256,512}){ char b[80]; sprintf(b,"vision + one reader of %d MB of DRAM",mb); run(b,true,[&]{ reader<<<tsms,1024,0,st>>>(big,(size_t)mb<<16,1,out);}); sprintf(b,"reader of %d MB of DRAM",mb); run(b,false,[&]{ reader<<<tsms,1024,0,st>>>(big,(size_t)mb<<16,1,out);}); }
  for(int passes: {64,128,256}){ char b[80]; sprintf(b,"vision + one reader of 2 MB of L2 %d times",passes); run(b,true,[&]{ reader<<<tsms,1024,0,st>>>(big,(size_t)2<<16,passes,out);}); sprintf(b,"reader of 2 MB of L2 %d times",passes); run(b,false,[&]{ reader<<<tsms,1024,0,st>>>(big,(size_t)2<<16,passes,out);}); }
  }
}
