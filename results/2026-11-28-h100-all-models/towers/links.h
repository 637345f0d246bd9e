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
