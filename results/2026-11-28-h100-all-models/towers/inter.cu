#include <cuda.h>
#include <cuda_runtime.h>
#include <cstdio>
#include <cstdlib>
#include <vector>
#include <functional>
#include <chrono>
#include <algorithm>
#include "templates/gemm.cuh"
#include "templates/attention.cuh"
#include <memory>
#include <string>
#include <random>
using namespace duet;
// V: 0 layer norm + gelu, 1 residual + row sums written, 2 layer norm; 3..5 the same, rows summed by the kernel / none written
template<int BM,int BN,int BK,int WM,int WN,int WK,int S,int K,int L,int V> struct C { static constexpr GemmConfig value = []{ GemmConfig c; constexpr int v=V%3; c.op.layer_norm=v!=1; c.op.reads_row_sums=v!=1&&V<3; c.op.bias=true; c.op.activation = v==0?Activation::quick_gelu:Activation::none; c.op.residual=v==1; c.op.writes_row_sums=v==1&&V<3; c.tile={BM,BN,BK,WM,WN,WK,S,K,L}; return c;}(); };
template<class Cfg> __global__ void __launch_bounds__(Cfg::value.threads()) kern(const __grid_constant__ GemmParams p){ gemm<Cfg>(p); }
static TensorMap tmap(void* p, int rows, int cols, int box) {
  TensorMap t; cuuint64_t d[2]={(cuuint64_t)cols,(cuuint64_t)rows}, st[1]={(cuuint64_t)cols*2}; cuuint32_t b[2]={64,(cuuint32_t)box}, es[2]={1,1};
  CUresult r=cuTensorMapEncodeTiled((CUtensorMap*)&t, CU_TENSOR_MAP_DATA_TYPE_FLOAT16,2,p,d,st,b,es,CU_TENSOR_MAP_INTERLEAVE_NONE,CU_TENSOR_MAP_SWIZZLE_128B,CU_TENSOR_MAP_L2_PROMOTION_L2_256B,CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (r) printf("map %d\n", r); return t; }
static int n_sm=132; static cudaStream_t stream;
template<class F> float time_graph(F record, int reps=60) {
  cudaGraph_t g; cudaGraphExec_t e; cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed); record(); cudaStreamEndCapture(stream,&g);
  cudaGraphInstantiate(&e,g,0); cudaEvent_t e0,e1; cudaEventCreate(&e0); cudaEventCreate(&e1); std::vector<float> ts;
  for(int i=0;i<reps;++i){ cudaEventRecord(e0,stream); cudaGraphLaunch(e,stream); cudaEventRecord(e1,stream); cudaEventSynchronize(e1); float t; cudaEventElapsedTime(&t,e0,e1); if(i>4) ts.push_back(t*1e3f);}
  std::sort(ts.begin(),ts.end()); cudaGraphExecDestroy(e); cudaGraphDestroy(g); return ts[ts.size()/2]; }
struct AnyLink { std::string name; float alone=0; bool ok=true; virtual void launch(int) const=0; virtual ~AnyLink(){} };
template<class Cfg> struct Link : AnyLink {
  static constexpr GemmConfig c=Cfg::value; int m,n,k,copies; char *a,*b,*o,*res; float *bias,*fold,*rs,*ws; unsigned* cnt;
  Link(int m,int n,int k,int copies=24):m(m),n(n),k(k),copies(copies){
  cudaMalloc(&a, (size_t)m*k*2); cudaMalloc(&b,(size_t)n*k*2*copies); cudaMalloc(&o,(size_t)m*n*2); cudaMalloc(&res,(size_t)m*n*2); cudaMalloc(&bias,n*4); cudaMalloc(&fold,n*4); cudaMalloc(&rs, 8*64*m); cudaMalloc(&ws, 64<<20); cudaMalloc(&cnt,65536);
  cudaMemset(a,1,(size_t)m*k*2); cudaMemset(b,1,(size_t)n*k*2*copies); cudaMemset(res,0,(size_t)m*n*2); cudaMemset(bias,0,n*4); cudaMemset(fold,0,n*4); cudaMemset(rs,0,8*64*m); cudaMemset(cnt,0,65536);
  cudaFuncSetAttribute(kern<Cfg>,cudaFuncAttributeMaxDynamicSharedMemorySize,c.smem_bytes()); cudaFuncSetAttribute(kern<Cfg>,cudaFuncAttributePreferredSharedMemoryCarveout,100); }
  ~Link(){cudaFree(a);cudaFree(b);cudaFree(o);cudaFree(res);cudaFree(bias);cudaFree(fold);cudaFree(rs);cudaFree(ws);cudaFree(cnt);}
  GemmParams params(int i) const { i%=copies;
    GemmParams p={}; p.a=a; p.b=b+(size_t)n*k*2*i; p.c=o; p.bias=bias; p.fold_sum=fold; p.residual=res; p.row_sums_in=rs; p.row_sums_out=rs; p.workspace=ws; p.counters=cnt; p.m=m;p.n=n;p.k=k;p.lda=k;p.ldb=k;p.ldc=n;p.ld_residual=n;p.residual_rows=m;p.layer_norm_epsilon=1e-5f;p.row_sum_tiles=8;p.batch=1;p.batch_inner=1;
    if (c.tma()) { p.map_a=tmap(a,m,k,c.tile.block_m); p.map_b=tmap(b+(size_t)n*k*2*i,n,k,c.tile.block_n); }
    return p; }
  void launch(int i) const override { GemmParams p=params(i);
    Grid3 g=gemm_grid(c,m,n,1); cudaLaunchConfig_t cfg={}; cfg.gridDim=dim3(g.x,g.y,g.z); cfg.blockDim=c.threads(); cfg.dynamicSmemBytes=c.smem_bytes(); cfg.stream=stream;
    cudaLaunchAttribute at; at.id=cudaLaunchAttributeProgrammaticStreamSerialization; at.val.programmaticStreamSerializationAllowed=1; cfg.attrs=&at; cfg.numAttrs=1;
    cudaError_t r=cudaLaunchKernelEx(&cfg,kern<Cfg>,p); if(r) printf("%s\n",cudaGetErrorString(r)); }
};
template<class Cfg> void go(const char* name,int m,int n,int k){ Link<Cfg> l(m,n,k); float us=time_graph([&]{for(int i=0;i<48;++i) l.launch(i);})/48;
  printf("sms %3d %-30s %4dx%4dx%4d blocks %3d  %.2f us %s\n", n_sm,name,m,n,k,(int)(gemm_grid(l.c,m,n,1).x*gemm_grid(l.c,m,n,1).y*gemm_grid(l.c,m,n,1).z),us,cudaGetErrorString(cudaGetLastError())); }
template<class Q,class P,class F1,class F2> void layer(const char* name,int m,int d){ Link<Q> q(m,3*d,d,12); Link<P> p(m,d,d,12); Link<F1> f1(m,4*d,d,12); Link<F2> f2(m,d,4*d,12);
  float us=time_graph([&]{for(int i=0;i<12;++i){q.launch(i);p.launch(i);f1.launch(i);f2.launch(i);}})/12; printf("sms %3d layer %-20s m %d  %.2f us %s\n",n_sm,name,m,us,cudaGetErrorString(cudaGetLastError())); }

#define GO(m,n,k,...) go<C<__VA_ARGS__>>(#__VA_ARGS__, m,n,k)
static void slice_unused(int sms){ n_sm=sms; CUdevice dev; cuDeviceGet(&dev,0); if(sms==132){cudaStreamCreateWithFlags(&stream,cudaStreamNonBlocking);return;}
  CUdevResource all,grp,rest; cuDeviceGetDevResource(dev,&all,CU_DEV_RESOURCE_TYPE_SM); unsigned n=1; cuDevSmResourceSplitByCount(&grp,&n,&all,&rest,0,sms);
  CUdevResourceDesc desc; cuDevResourceGenerateDesc(&desc,&grp,1); CUgreenCtx gc; cuGreenCtxCreate(&gc,desc,dev,CU_GREEN_CTX_DEFAULT_STREAM); CUstream s; if(cuGreenCtxStreamCreate(&s,gc,CU_STREAM_NON_BLOCKING,0)) printf("no stream\n"); stream=s; }

template<int W,int KV,int S,int WK,int MB=1,int CA=0> struct At { static constexpr AttentionConfig value=[]{AttentionConfig c; c.tile={W,KV,S,WK,MB}; if(CA) c.op.mask=AttentionMask::causal; return c;}(); };
template<class Cfg> __global__ void __launch_bounds__(Cfg::value.threads()) akern(const __grid_constant__ AttentionParams p){ attention<Cfg>(p); }
template<class Cfg> struct ALink : AnyLink { int t,h; char *q,*o; ALink(int t,int h):t(t),h(h){ cudaMalloc(&q,(size_t)t*h*64*2*3); cudaMalloc(&o,(size_t)t*h*64*2); cudaMemset(q,1,(size_t)t*h*64*2*3); cudaFuncSetAttribute(akern<Cfg>,cudaFuncAttributeMaxDynamicSharedMemorySize,Cfg::value.smem_bytes()); cudaFuncSetAttribute(akern<Cfg>,cudaFuncAttributePreferredSharedMemoryCarveout,100);}
  void launch(int) const override { AttentionParams p={}; int d=h*64; p.q=q; p.k=q+d*2; p.v=q+d*4; p.out=o; p.batch=1;p.heads=h;p.queries=p.keys=t;p.ldq=p.ldk=p.ldv=3*d;p.ldo=d;p.scale=0.125f; Grid3 g=attention_grid(Cfg::value,t,h,1);
   cudaLaunchConfig_t cfg={}; cfg.gridDim=dim3(g.x,g.y,g.z); cfg.blockDim=Cfg::value.threads(); cfg.dynamicSmemBytes=Cfg::value.smem_bytes(); cfg.stream=stream; cudaLaunchAttribute at; at.id=cudaLaunchAttributeProgrammaticStreamSerialization; at.val.programmaticStreamSerializationAllowed=1; cfg.attrs=&at; cfg.numAttrs=1; cudaError_t r=cudaLaunchKernelEx(&cfg,akern<Cfg>,p); if(r) printf("att %s\n",cudaGetErrorString(r)); } };

static cudaStream_t green(CUdevResource* r){ CUdevResourceDesc desc; cuDevResourceGenerateDesc(&desc,r,1); CUgreenCtx gc; CUdevice dev; cuDeviceGet(&dev,0); CUresult e=cuGreenCtxCreate(&gc,desc,dev,CU_GREEN_CTX_DEFAULT_STREAM); if(e) printf("green %d\n",e); CUstream s; if(cuGreenCtxStreamCreate(&s,gc,CU_STREAM_NON_BLOCKING,0)) printf("no stream\n"); return s; }
typedef std::vector<std::unique_ptr<AnyLink>> Tower;
template<class Cfg> void gemm_to(Tower& t,int m,int n,int k,int copies){ t.push_back(std::make_unique<Link<Cfg>>(m,n,k,copies)); }
__global__ void spin(int ns,int early){ if(early){ asm volatile("griddepcontrol.wait;":::"memory"); asm volatile("griddepcontrol.launch_dependents;"); } long long t0; asm volatile("mov.u64 %0, %globaltimer;":"=l"(t0)); long long t; do { asm volatile("mov.u64 %0, %globaltimer;":"=l"(t)); } while(t-t0<ns); }
// Reads `bytes` from `base` in all, each block its own part, `passes` times, pausing `pause` ns between pieces.
__global__ void reader(const uint4* base,size_t vecs,int passes,uint4* out){ uint4 acc={0,0,0,0}; for(int p=0;p<passes;++p) for(size_t i=blockIdx.x*(size_t)blockDim.x+threadIdx.x;i<vecs;i+=(size_t)gridDim.x*blockDim.x*4){
   uint4 v[4]; for(int j=0;j<4;++j){ size_t at=i+(size_t)j*gridDim.x*blockDim.x; if(at<vecs) asm volatile("ld.global.cg.v4.u32 {%0,%1,%2,%3}, [%4];":"=r"(v[j].x),"=r"(v[j].y),"=r"(v[j].z),"=r"(v[j].w):"l"(base+at)); else v[j]=acc; } for(int j=0;j<4;++j) acc.x^=v[j].x^v[j].y^v[j].z^v[j].w; } if(acc.x==12345) *out=acc; }
static void spin_launch(cudaStream_t s,int blocks,int ns,int early){ cudaLaunchConfig_t cfg={}; cfg.gridDim=dim3(blocks); cfg.blockDim=128; cfg.stream=s; cudaLaunchAttribute at; at.id=cudaLaunchAttributeProgrammaticStreamSerialization; at.val.programmaticStreamSerializationAllowed=1; cfg.attrs=&at; cfg.numAttrs=early; cudaError_t r=cudaLaunchKernelEx(&cfg,spin,ns,early); if(r) printf("spin %s\n",cudaGetErrorString(r)); }
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
